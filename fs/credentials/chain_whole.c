/* All there are, in the AWS CLI's order. */
#include "chain.h"

struct credentials_provider *credentials_chain_new(const char *profile, const char *region,
                                                   const struct credentials_network *network) {
    const struct credentials_sources sources = {.container = credentials_container_new,
                                                .metadata = credentials_metadata_new};
    struct chain *chain = chain_new(network);
    if (!chain)
        return NULL;
    if (!profile)
        chain_add(chain, credentials_environment_new());
    chain_add_cached(chain, credentials_profile_role_new(profile, region, &sources, network));
    if (!profile)
        chain_add_cached(chain, credentials_web_identity_new(region, network));
    chain_add_cached(chain, credentials_sso_new(profile, network));
    chain_add(chain, credentials_profile_new(profile));
    chain_add_cached(chain, credentials_process_new(profile));
    chain_add_cached(chain, credentials_container_new(network));
    chain_add_cached(chain, credentials_metadata_new(network));
    return chain_finish(chain);
}
