/* Any bytes, as a listing and as an error: no crash, no leak, and what comes out keeps its bounds.
 */
#include <maciefs/s3.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct listing *page) {
    if (page->object_count + page->folder_count > LISTING_PAGE_MAX)
        abort();
    for (size_t i = 0; i < page->object_count; i++) {
        const struct object *object = &page->objects[i];
        if (!object->key[0] || strlen(object->key) > OBJECT_KEY_MAX || object->size > INT64_MAX ||
            strpbrk(object->etag, "\r\n\""))
            abort();
    }
    for (size_t i = 0; i < page->folder_count; i++) {
        size_t len = strlen(page->folders[i]);
        if (len == 0 || page->folders[i][len - 1] != '/')
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const prefixes[] = {"", "m/"};
    for (size_t i = 0; i < 2; i++) {
        struct listing page = {0};
        if (s3_list_parse(data, size, prefixes[i], '/', &page) == 0)
            check(&page);
        listing_free(&page);
    }
    struct s3_error error;
    s3_error_parse(data, size, &error);
    if (strlen(error.code) >= sizeof error.code || strlen(error.message) >= sizeof error.message ||
        strlen(error.region) >= sizeof error.region)
        abort();
    return 0;
}
