#include <maciefs/xml.h>

#include <errno.h>
#include <expat.h>
#include <limits.h>
#include <maciefs/secret.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 8
#define PATH_SIZE 256

struct reader {
    XML_Parser parser;
    const struct xml_handler *handler;
    int result; /* what ended the reading; 0 where nothing did */
    unsigned depth;
    size_t path_len;
    char path[PATH_SIZE];
    struct xml_text text;
    char text_at[XML_TEXT_MAX + 1];
};

static void end_reading(struct reader *r, int result) {
    r->result = result;
    XML_StopParser(r->parser, XML_FALSE);
}

static void clear_text(struct reader *r) {
    r->text_at[0] = '\0';
    r->text = (struct xml_text){.at = r->text_at};
}

static const char *local_name(const char *name) {
    const char *colon = strrchr(name, ':');
    return colon ? colon + 1 : name;
}

static void XMLCALL on_begin(void *ctx, const char *name, const char **attributes) {
    (void)attributes;
    struct reader *r = ctx;
    if (r->result)
        return;
    const char *local = local_name(name);
    size_t len = strlen(local);
    if (r->depth == DEPTH_MAX || len + 1 >= PATH_SIZE - r->path_len) {
        end_reading(r, -EPROTO);
        return;
    }
    r->depth++;
    r->path[r->path_len] = '/';
    memcpy(r->path + r->path_len + 1, local, len + 1);
    r->path_len += 1 + len;
    clear_text(r);
    int result = r->handler->begin ? r->handler->begin(r->handler->ctx, r->path) : 0;
    if (result)
        end_reading(r, result);
}

static void XMLCALL on_end(void *ctx, const char *name) {
    struct reader *r = ctx;
    /* Expat may still tell an end whose beginning was refused. */
    if (r->result)
        return;
    int result = r->handler->end(r->handler->ctx, r->path, &r->text);
    r->depth--;
    r->path_len -= 1 + strlen(local_name(name));
    r->path[r->path_len] = '\0';
    clear_text(r);
    if (result)
        end_reading(r, result);
}

static void XMLCALL on_text(void *ctx, const char *at, int len) {
    struct reader *r = ctx;
    size_t room = XML_TEXT_MAX - r->text.len;
    size_t take = (size_t)len < room ? (size_t)len : room;
    memcpy(r->text_at + r->text.len, at, take);
    r->text.len += take;
    r->text_at[r->text.len] = '\0';
    r->text.cut |= take < (size_t)len;
}

static void XMLCALL on_doctype(void *ctx, const char *name, const char *system_id,
                               const char *public_id, int internal) {
    (void)name, (void)system_id, (void)public_id, (void)internal;
    end_reading(ctx, -EPROTO);
}

static int parse(struct reader *r, const uint8_t *xml, size_t len) {
    XML_SetUserData(r->parser, r);
    XML_SetElementHandler(r->parser, on_begin, on_end);
    XML_SetCharacterDataHandler(r->parser, on_text);
    XML_SetStartDoctypeDeclHandler(r->parser, on_doctype);
    if (XML_Parse(r->parser, (const char *)xml, (int)len, XML_TRUE) == XML_STATUS_OK)
        return 0;
    if (r->result)
        return r->result;
    return XML_GetErrorCode(r->parser) == XML_ERROR_NO_MEMORY ? -ENOMEM : -EPROTO;
}

/* The text may be a secret, and the parser copies some of it. */
static const XML_Memory_Handling_Suite clearing = {malloc, secret_realloc, secret_free};

int xml_read(const uint8_t *xml, size_t len, const struct xml_handler *handler) {
    if (len > INT_MAX)
        return -EPROTO;
    struct reader *r = calloc(1, sizeof *r);
    if (!r)
        return -ENOMEM;
    r->handler = handler;
    clear_text(r);
    r->parser = XML_ParserCreate_MM(NULL, &clearing, NULL);
    int err = r->parser ? parse(r, xml, len) : -ENOMEM;
    XML_ParserFree(r->parser);
    OPENSSL_cleanse(r, sizeof *r);
    free(r);
    return err;
}
