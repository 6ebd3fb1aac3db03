#include "client.h"

#include <ctype.h>
#include <errno.h>
#include <maciefs/s3.h>
#include <maciefs/sigv4.h>
#include <maciefs/uri.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define PAGE_BYTES_MAX (8u << 20) /* of XML; 1,000 entries with the longest keys take 4 MiB */
#define QUERY_MAX (32u << 10)
#define MD5_HEX_LEN 32

struct s3_source {
    struct source base;
    struct s3_client client;
    char *name, *bucket, *prefix;
};

static int no_memory(struct fault *fault) {
    return fault_set(fault, -ENOMEM, "memory is exhausted");
}

/* A page on its way. */
struct page {
    struct s3_source *source;
    struct listing *listing;
    char fold;
    struct buf xml;
    bool too_long;
};

static int page_write(void *ctx, const uint8_t *at, size_t len) {
    struct page *page = ctx;
    int err = buf_append(&page->xml, at, len);
    page->too_long = err == -EMSGSIZE;
    return err;
}

static int page_restart(void *ctx) {
    struct page *page = ctx;
    buf_reset(&page->xml);
    return 0;
}

static int page_check(void *ctx, const struct http_answer *answer, struct fault *fault) {
    struct page *page = ctx;
    page->listing->now = answer->date ? answer->date : (int64_t)time(NULL);
    int err =
        s3_list_parse(page->xml.at, page->xml.len, page->source->prefix, page->fold, page->listing);
    if (err == -EPROTO)
        return fault_set(fault, err,
                         "%s answers what is no listing of S3's: check that endpoint= is one",
                         s3_client_address(&page->source->client)->host);
    return err ? no_memory(fault) : 0;
}

/* Appends "&name=" and the two texts, encoded; nothing where both are empty. */
static int add_parameter(struct buf *query, const char *name, const char *first,
                         const char *second) {
    if (!first[0] && !second[0])
        return 0;
    int err = buf_printf(query, "&%s=", name);
    if (!err)
        err = uri_encode(query, first, strlen(first), false);
    return err ? err : uri_encode(query, second, strlen(second), false);
}

static const char *or_empty(const char *text) {
    return text ? text : "";
}

/* A token says by itself where its page begins. */
static int make_query(const struct s3_source *source, const struct list_query *asked,
                      struct buf *query) {
    const char *after = or_empty(asked->after), *token = or_empty(asked->token);
    unsigned limit =
        asked->limit && asked->limit < LISTING_PAGE_MAX ? asked->limit : LISTING_PAGE_MAX;
    const char delimiter[] = {asked->fold, '\0'};
    int err = buf_printf(query, "list-type=2&encoding-type=url&max-keys=%u", limit);
    if (!err)
        err = add_parameter(query, "delimiter", delimiter, "");
    if (!err)
        err = add_parameter(query, "prefix", source->prefix, or_empty(asked->prefix));
    if (!err && token[0])
        err = add_parameter(query, "continuation-token", token, "");
    else if (!err && after[0])
        err = add_parameter(query, "start-after", source->prefix, after);
    return err || buf_str(query) ? err : -ENOMEM;
}

static struct s3_resource resource_of(const struct s3_source *source, const char *action,
                                      const char *key) {
    return (struct s3_resource){.action = action, .bucket = source->bucket, .key = key};
}

static int list(struct source *base, const struct list_query *asked, struct listing *ret,
                struct fault *fault) {
    struct s3_source *source = (struct s3_source *)base;
    struct page page = {.source = source, .listing = ret, .fold = asked->fold};
    struct buf query;
    buf_init(&query, QUERY_MAX);
    buf_init(&page.xml, PAGE_BYTES_MAX);
    int err = make_query(source, asked, &query);
    if (err) {
        fault_set(fault, err, "the listing cannot be asked for: %s", strerrordesc_np(-err));
    } else {
        const struct s3_call call = {.resource = resource_of(source, "s3:ListBucket", NULL),
                                     .query = buf_str(&query),
                                     .if_match = "",
                                     .write = page_write,
                                     .restart = page_restart,
                                     .check = page_check,
                                     .ctx = &page};
        err = s3_client_call(&source->client, &call, fault);
    }
    if (err && page.too_long)
        err = fault_set(fault, -EPROTO, "a page of %s's listing is longer than %u MiB",
                        source->name, PAGE_BYTES_MAX >> 20);
    buf_free(&page.xml);
    buf_free(&query);
    return err;
}

/* An object on its way. */
struct transfer {
    const struct object *object;
    const struct object_sink *sink;
    const char *name;   /* for faults: "s3://bucket/key" */
    EVP_MD_CTX *digest; /* NULL where its ETag is no MD5 */
    uint64_t sent;
    bool too_long;
};

static bool looks_like_md5(const char *etag) {
    return strspn(etag, "0123456789abcdefABCDEF") == MD5_HEX_LEN && etag[MD5_HEX_LEN] == '\0';
}

/* Begins, or begins anew. Where MD5 may not be used (FIPS), there is nothing to check by. */
static void transfer_reset(struct transfer *transfer) {
    transfer->sent = 0;
    if (transfer->digest && EVP_DigestInit_ex(transfer->digest, EVP_md5(), NULL) != 1) {
        EVP_MD_CTX_free(transfer->digest);
        transfer->digest = NULL;
    }
}

static int transfer_write(void *ctx, const uint8_t *at, size_t len) {
    struct transfer *transfer = ctx;
    if (len > transfer->object->size - transfer->sent) {
        transfer->too_long = true;
        return -ESTALE;
    }
    transfer->sent += len;
    if (transfer->digest && EVP_DigestUpdate(transfer->digest, at, len) != 1)
        return -ENOMEM;
    return transfer->sink->write(transfer->sink->ctx, at, len);
}

static int transfer_restart(void *ctx) {
    struct transfer *transfer = ctx;
    transfer_reset(transfer);
    return transfer->sink->restart(transfer->sink->ctx);
}

/* True where the bytes that came have the MD5 that the ETag tells. */
static bool is_md5_right(struct transfer *transfer) {
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    char hex[2 * EVP_MAX_MD_SIZE + 1] = "";
    if (EVP_DigestFinal_ex(transfer->digest, digest, &len) != 1)
        return false;
    for (unsigned i = 0; i < len; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    return strcasecmp(hex, transfer->object->etag) == 0;
}

static int is_stale(const struct transfer *transfer, struct fault *fault) {
    return fault_set(fault, -ESTALE,
                     "%s is not the object that was listed (%llu bytes, ETag %s): it was "
                     "overwritten, and is read anew when it is listed again",
                     transfer->name, (unsigned long long)transfer->object->size,
                     transfer->object->etag);
}

static int transfer_check(void *ctx, const struct http_answer *answer, struct fault *fault) {
    struct transfer *transfer = ctx;
    const struct object *object = transfer->object;
    bool other_etag =
        answer->etag[0] && object->etag[0] && strcasecmp(answer->etag, object->etag) != 0;
    if (other_etag)
        return is_stale(transfer, fault);
    /* The same object in another length is an answer that went wrong, however well it ended. */
    if (transfer->sent != object->size)
        return fault_set(fault, -EIO, "%s came with %llu of its %llu bytes", transfer->name,
                         (unsigned long long)transfer->sent, (unsigned long long)object->size);
    if (transfer->digest && !answer->etag_opaque && !is_md5_right(transfer))
        return fault_set(fault, -EIO,
                         "%s came damaged: its bytes do not have the MD5 %s that its ETag tells",
                         transfer->name, object->etag);
    return 0;
}

static int transfer_run(struct s3_source *source, struct transfer *transfer, const char *key,
                        struct fault *fault) {
    transfer_reset(transfer);
    const struct s3_call call = {.resource = resource_of(source, "s3:GetObject", key),
                                 .query = "",
                                 .if_match = transfer->object->etag,
                                 .write = transfer_write,
                                 .restart = transfer_restart,
                                 .check = transfer_check,
                                 .ctx = transfer};
    int err = s3_client_call(&source->client, &call, fault);
    return err && transfer->too_long ? is_stale(transfer, fault) : err;
}

static int get(struct source *base, const struct object *object, const struct object_sink *sink,
               struct fault *fault) {
    struct s3_source *source = (struct s3_source *)base;
    struct transfer transfer = {.object = object, .sink = sink};
    bool checked = looks_like_md5(object->etag);
    char *name = NULL;
    if (asprintf(&name, "s3://%s/%s%s", source->bucket, source->prefix, object->key) < 0)
        return no_memory(fault);
    transfer.name = name;
    transfer.digest = checked ? EVP_MD_CTX_new() : NULL;
    const char *key = name + strlen("s3://") + strlen(source->bucket) + 1;
    int err = checked && !transfer.digest ? no_memory(fault)
                                          : transfer_run(source, &transfer, key, fault);
    EVP_MD_CTX_free(transfer.digest);
    free(name);
    return err;
}

static void stop(struct source *base) {
    s3_client_stop(&((struct s3_source *)base)->client);
}

struct s3_client *s3_source_client(struct source *base) {
    return &((struct s3_source *)base)->client;
}

static void free_names(struct s3_source *source) {
    free(source->name);
    free(source->bucket);
    free(source->prefix);
    free(source);
}

static void free_source(struct source *base) {
    struct s3_source *source = (struct s3_source *)base;
    s3_client_close(&source->client);
    free_names(source);
}

int s3_source_new(const struct config *config, const char *prefix, struct source **ret,
                  struct fault *fault) {
    static const struct source_ops ops = {list, get, stop, free_source};
    struct s3_source *source = calloc(1, sizeof *source);
    if (!source)
        return no_memory(fault);
    source->bucket = strdup(config->bucket);
    source->prefix = strdup(prefix ? prefix : config->prefix);
    if (!source->bucket || !source->prefix ||
        asprintf(&source->name, "s3://%s/%s", source->bucket, source->prefix) < 0) {
        source->name = NULL;
        free_names(source);
        return no_memory(fault);
    }
    int err = s3_client_open(&source->client, config, fault);
    if (err) {
        free_names(source);
        return err;
    }
    source->base = (struct source){.ops = &ops,
                                   .name = source->name,
                                   .bucket = source->bucket,
                                   .prefix = source->prefix,
                                   .folds_any = true};
    *ret = &source->base;
    return 0;
}
