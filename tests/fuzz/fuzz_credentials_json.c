/* What containers, instances and programs may write as credentials. */
#include "../../fs/credentials/credentials_json.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct credentials found;
    if (credentials_json_parse((const char *)data, size, &found) != 0)
        return 0;
    if (!found.access_key_id[0] || !found.secret_access_key[0])
        abort();
    credentials_clear(&found);
    return 0;
}
