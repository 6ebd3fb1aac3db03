#include "inflate.h"

#include <errno.h>
#include <limits.h>

/* Fills the window as far as `in` goes; returns zlib's code. */
static int inflate_window(z_stream *z, struct span *in, uint8_t *window) {
    size_t len = in->len < UINT_MAX ? in->len : UINT_MAX;
    z->next_in = (z_const Bytef *)in->at;
    z->avail_in = (uInt)len;
    z->next_out = window;
    z->avail_out = OUTPUT_WINDOW;
    int code = inflate(z, Z_NO_FLUSH);
    span_take(in, len - z->avail_in);
    return code;
}

int inflate_span(z_stream *z, struct span *in, uint8_t window[OUTPUT_WINDOW], bytes_sink sink,
                 void *ctx, int *ret_code) {
    int code;
    do {
        code = inflate_window(z, in, window);
        int err = sink(ctx, window, OUTPUT_WINDOW - z->avail_out);
        if (err)
            return err;
        /* A full window may leave bytes behind in zlib. */
    } while (code == Z_OK && z->avail_out == 0);
    if (code == Z_MEM_ERROR)
        return -ENOMEM;
    *ret_code = code == Z_BUF_ERROR ? Z_OK : code;
    return 0;
}
