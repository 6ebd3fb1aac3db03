/* Any bytes, as an answer of STS and as its error: no crash, no leak, and what comes out is whole.
 */
#include "../../fs/credentials/sts.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct credentials found = {0};
    int err = sts_credentials_parse(data, size, &found);
    if (err ? found.access_key_id != NULL
            : !*found.access_key_id || !*found.secret_access_key || !*found.session_token ||
                  found.expires <= 0)
        abort();
    credentials_clear(&found);
    struct sts_error error;
    sts_error_parse(data, size, &error);
    if (strlen(error.code) >= sizeof error.code || strlen(error.message) >= sizeof error.message)
        abort();
    return 0;
}
