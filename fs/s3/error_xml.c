#include <maciefs/xml.h>

#include <maciefs/s3.h>
#include <string.h>

/* Copies what is left of `text` in `ret`, all but printable ASCII as '?'. */
static void copy_printable(const struct xml_text *text, char *ret, size_t size) {
    size_t len = text->len < size - 1 ? text->len : size - 1;
    for (size_t i = 0; i < len; i++)
        ret[i] = text->at[i] >= ' ' && text->at[i] <= '~' ? text->at[i] : '?';
    ret[len] = '\0';
}

/* Copies a word that consists of `letters` alone; anything else, or a longer one, is none. */
static void copy_word(const struct xml_text *text, const char *letters, char *ret, size_t size) {
    if (text->len < size && strspn(text->at, letters) == text->len)
        memcpy(ret, text->at, text->len + 1);
}

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

static int on_end(void *ctx, const char *path, const struct xml_text *text) {
    struct s3_error *error = ctx;
    if (strcmp(path, "/Error/Code") == 0)
        copy_word(text, LOWER UPPER DIGITS ".", error->code, sizeof error->code);
    else if (strcmp(path, "/Error/Message") == 0)
        copy_printable(text, error->message, sizeof error->message);
    else if (strcmp(path, "/Error/Region") == 0)
        copy_word(text, LOWER DIGITS "-", error->region, sizeof error->region);
    else if (strcmp(path, "/Error/StorageClass") == 0)
        copy_word(text, UPPER DIGITS "_", error->storage_class, sizeof error->storage_class);
    else if (strcmp(path, "/Error/AccessTier") == 0)
        copy_word(text, UPPER DIGITS "_", error->access_tier, sizeof error->access_tier);
    return 0;
}

void s3_error_parse(const uint8_t *xml, size_t len, struct s3_error *ret) {
    *ret = (struct s3_error){0};
    const struct xml_handler handler = {.end = on_end, .ctx = ret};
    /* What came before the place where it breaks is told all the same. */
    (void)xml_read(xml, len, &handler);
}
