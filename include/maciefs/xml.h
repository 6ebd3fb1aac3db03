/*
 * XML as S3 and STS answer it: elements that hold elements, or text.
 *
 * Each element's end is told with its path from the root ("/Error/Code", names without a namespace
 * prefix) and its text. A document type is refused (so there are no entities of its own), nesting
 * and text are bounded, and attributes are ignored.
 */
#ifndef MACIEFS_XML_H
#define MACIEFS_XML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define XML_TEXT_MAX 4096 /* bytes of one element's text that are kept */

struct xml_text {
    const char *at; /* UTF-8, NUL-terminated */
    size_t len;
    bool cut; /* there was more */
};

struct xml_handler {
    /* Either may end the reading by returning other than 0. begin may be NULL. */
    int (*begin)(void *ctx, const char *path);
    int (*end)(void *ctx, const char *path, const struct xml_text *text);
    void *ctx;
};

/*
 * Reads a document. Returns 0; what a callback returned; -EPROTO where it is not well-formed, ends
 * too soon, declares a document type or nests too deep; -ENOMEM.
 */
int xml_read(const uint8_t *xml, size_t len, const struct xml_handler *handler);

#endif
