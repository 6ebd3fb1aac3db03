/* What one profile has by itself. */
#include "chain.h"

struct credentials_provider *credentials_own_new(const char *profile,
                                                 const struct credentials_network *network) {
    struct chain *chain = chain_new(network);
    if (!chain)
        return NULL;
    chain_add(chain, credentials_sso_new(profile, network));
    chain_add(chain, credentials_profile_new(profile));
    chain_add(chain, credentials_process_new(profile));
    return chain_finish(chain);
}
