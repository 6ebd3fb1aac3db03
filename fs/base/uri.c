#include <maciefs/uri.h>

static bool is_unreserved(unsigned char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

int uri_encode(struct buf *out, const char *text, size_t len, bool keep_slash) {
    static const char hex[] = "0123456789ABCDEF";
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        const char escaped[] = {'%', hex[c >> 4], hex[c & 15]};
        bool keep = is_unreserved(c) || (keep_slash && c == '/');
        int err = keep ? buf_append(out, &c, 1) : buf_append(out, escaped, sizeof escaped);
        if (err)
            return err;
    }
    return 0;
}
