/* The shared files' parser: the first byte chooses the kind of file, the rest is its text. */
#include <errno.h>
#include <maciefs/credentials.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0)
        return 0;
    char *value = NULL;
    int err = profile_file_lookup((const char *)data + 1, size - 1, data[0] % 3, "a", "b", &value);
    if (err == 0) {
        size_t len = strlen(value);
        /* Trimmed, of one line, and out of the text. */
        if (len >= size || strchr(value, '\n') || value[0] == ' ')
            abort();
        free(value);
    } else if ((err != -ENOENT && err != -ESRCH) || value) {
        abort();
    }
    return 0;
}
