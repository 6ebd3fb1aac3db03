#include "proxy.h"

#include <maciefs/http.h>
#include <maciefs/secret.h>

#include <curl/curl.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define ERROR_BODY_MAX (64u << 10)
#define HEADERS_MAX (64u << 10) /* bytes of all header lines of an answer */
#define RECEIVE_BUFFER (64L << 10)

struct http_pool {
    struct http_options options;
    pthread_mutex_t lock;
    pthread_cond_t returned;
    atomic_bool stopped;
    unsigned idle;   /* how many of `handles`, from the first, can be borrowed */
    CURL *handles[]; /* NULL before its first use; each keeps one connection */
};

/* One exchange under way: what libcurl's callbacks know and leave behind. */
struct exchange {
    struct http_pool *pool;
    CURL *curl;
    bytes_sink sink;
    void *ctx;
    struct buf error_body;
    size_t header_bytes;
    bool begun;       /* the answer's first line came */
    bool body_full;   /* error_body took what it may; the rest is not waited for */
    bool stalled;     /* ended by the stall timer */
    int err;          /* why a callback ended it; 0 where none did */
    int64_t moved_ms; /* when something last came */
    char host[300];   /* "host:port", for faults */
    struct proxy proxy;
    bool to_proxy; /* it was connected to, as far as its port tells */
    char error[CURL_ERROR_SIZE];
};

/* What libcurl's results mean. The sentence goes between the host and libcurl's own words. */
static const struct cause {
    CURLcode code;
    int err;
    const char *sentence;
} causes[] = {
    {CURLE_COULDNT_RESOLVE_HOST, -ENETDOWN,
     "has no address: check the name of the endpoint, or the region, and this machine's DNS"},
    {CURLE_COULDNT_CONNECT, -ENETDOWN,
     "takes no connection: check the endpoint's host and port, and the network"},
    {CURLE_OPERATION_TIMEDOUT, -ENETDOWN,
     "does not answer in time: check the endpoint's host and port, and the network"},
    {CURLE_SSL_CONNECT_ERROR, -ENETDOWN,
     "does not agree on TLS: check whether its port speaks https"},
    {CURLE_PEER_FAILED_VERIFICATION, -EPROTO,
     "has a certificate that cannot be trusted: check the endpoint's name, this machine's clock, "
     "and "
     "that it has its authority's certificate, or name that with ca_bundle="},
    {CURLE_SSL_CACERT_BADFILE, -EPROTO,
     "cannot be verified: the certificates to trust cannot be read: check ca_bundle=, "
     "AWS_CA_BUNDLE, or the package ca-certificates"},
    {CURLE_URL_MALFORMAT, -EPROTO, "stands in a URL that is malformed"},
    {CURLE_UNSUPPORTED_PROTOCOL, -EPROTO, "does not speak HTTP: check the endpoint"},
    {CURLE_WEIRD_SERVER_REPLY, -EPROTO, "does not speak HTTP: check the endpoint"},
    {CURLE_OUT_OF_MEMORY, -ENOMEM, "cannot be asked: memory is exhausted"},
    {CURLE_GOT_NOTHING, -ECONNRESET, "closed the connection without an answer"},
    {CURLE_SEND_ERROR, -ECONNRESET, "broke the connection"},
    {CURLE_RECV_ERROR, -ECONNRESET, "broke the connection"},
    {CURLE_PARTIAL_FILE, -ECONNRESET, "cut its answer short"},
};
static const struct cause other_cause = {CURLE_OK, -EPROTO, "failed"};

/* The same of a proxy; the sentence says what it does. */
static const struct cause proxy_causes[] = {
    {CURLE_COULDNT_RESOLVE_PROXY, -ENETDOWN,
     "has no address: check its name, and this machine's DNS"},
    {CURLE_COULDNT_CONNECT, -ENETDOWN,
     "takes no connection: check its host and port, and the network"},
    {CURLE_OPERATION_TIMEDOUT, -ENETDOWN,
     "does not answer in time: check its host and port, and whether it reaches that server"},
    {CURLE_PROXY, -EPROTO, "lets nothing through: check what kind of proxy it is"},
};

static const struct {
    CURLoption option;
    long value;
} fixed_options[] = {
    {CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1},
    {CURLOPT_PATH_AS_IS, 1},
    {CURLOPT_FOLLOWLOCATION, 0},
    {CURLOPT_HTTP_CONTENT_DECODING, 0},
    {CURLOPT_NOSIGNAL, 1},
    /* A name look-up that hangs is left behind rather than waited for. */
    {CURLOPT_QUICK_EXIT, 1},
    {CURLOPT_NOPROGRESS, 0},
    /* A proxy's answer to CONNECT is none of the server's. */
    {CURLOPT_SUPPRESS_CONNECT_HEADERS, 1},
    {CURLOPT_TCP_KEEPALIVE, 1},
    {CURLOPT_TCP_KEEPIDLE, 30},
    {CURLOPT_TCP_KEEPINTVL, 10},
    {CURLOPT_BUFFERSIZE, RECEIVE_BUFFER},
    {CURLOPT_SSL_VERIFYPEER, 1},
    {CURLOPT_SSL_VERIFYHOST, 2},
};

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;
static CURLcode curl_ready;

static void init_curl(void) {
    curl_ready = curl_global_init_mem(CURL_GLOBAL_DEFAULT, malloc, secret_free, secret_realloc,
                                      strdup, calloc);
}

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

struct http_pool *http_pool_new(const struct http_options *options) {
    pthread_once(&curl_once, init_curl);
    if (curl_ready != CURLE_OK)
        return NULL;
    struct http_pool *pool = calloc(1, sizeof *pool + options->connections * sizeof(CURL *));
    if (!pool)
        return NULL;
    pool->options = *options;
    pool->idle = options->connections;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->returned, NULL);
    atomic_init(&pool->stopped, false);
    return pool;
}

void http_pool_stop(struct http_pool *pool) {
    pthread_mutex_lock(&pool->lock);
    atomic_store(&pool->stopped, true);
    pthread_cond_broadcast(&pool->returned);
    pthread_mutex_unlock(&pool->lock);
}

bool http_pool_stopped(struct http_pool *pool) {
    return atomic_load(&pool->stopped);
}

void http_pool_free(struct http_pool *pool) {
    if (!pool)
        return;
    for (unsigned i = 0; i < pool->idle; i++)
        curl_easy_cleanup(pool->handles[i]);
    pthread_cond_destroy(&pool->returned);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

/* Keeps the beginning of an error's body; the rest is not worth waiting for. */
static int keep_error_body(struct exchange *x, const char *at, size_t len) {
    size_t room = ERROR_BODY_MAX - x->error_body.len;
    if (len > room) {
        x->body_full = true;
        len = room;
    }
    return buf_append(&x->error_body, at, len);
}

static size_t on_body(char *at, size_t size, size_t count, void *ctx) {
    struct exchange *x = ctx;
    size_t len = size * count;
    long status = 0;
    curl_easy_getinfo(x->curl, CURLINFO_RESPONSE_CODE, &status);
    x->err =
        status / 100 == 2 ? x->sink(x->ctx, (const uint8_t *)at, len) : keep_error_body(x, at, len);
    /* The sink's own time is no silence of the server's. */
    x->moved_ms = now_ms();
    return x->err || x->body_full ? 0 : len;
}

static size_t on_header(char *at, size_t size, size_t count, void *ctx) {
    (void)at;
    struct exchange *x = ctx;
    x->begun = true;
    x->moved_ms = now_ms();
    x->header_bytes += size * count;
    return x->header_bytes > HEADERS_MAX ? 0 : size * count;
}

static int on_progress(void *ctx, curl_off_t total, curl_off_t now, curl_off_t up_total,
                       curl_off_t up) {
    (void)total, (void)now, (void)up_total, (void)up;
    struct exchange *x = ctx;
    if (http_pool_stopped(x->pool))
        x->err = -ECANCELED;
    else if (now_ms() - x->moved_ms > (int64_t)x->pool->options.stall_timeout_ms)
        x->stalled = true;
    return x->err || x->stalled;
}

/* TLS keeps the last of what was read, as it came and in the clear. */
static CURLcode clear_what_was_read(CURL *curl, void *context, void *ctx) {
    (void)curl, (void)ctx;
    SSL_CTX_set_options(context, SSL_OP_CLEANSE_PLAINTEXT);
    return CURLE_OK;
}

/* Opens what libcurl would; where it leads tells who it is that cannot be reached. */
static curl_socket_t open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *to) {
    (void)purpose;
    struct exchange *x = ctx;
    /* The ports of both families stand at the same place. */
    unsigned port = ntohs(((const struct sockaddr_in *)&to->addr)->sin_port);
    x->to_proxy |= x->proxy.url && port == x->proxy.port;
    return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

/* What all exchanges of a handle have in common. */
static CURLcode set_up(CURL *curl, const struct http_options *options) {
    for (size_t i = 0; i < sizeof fixed_options / sizeof *fixed_options; i++) {
        CURLcode rc = curl_easy_setopt(curl, fixed_options[i].option, fixed_options[i].value);
        if (rc != CURLE_OK)
            return rc;
    }
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)options->connect_timeout_ms);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    CURLcode rc = curl_easy_setopt(curl, CURLOPT_USERAGENT, "maciefs/" MACIEFS_VERSION);
    if (rc == CURLE_OK && options->ca_bundle)
        rc = curl_easy_setopt(curl, CURLOPT_CAINFO, options->ca_bundle);
    if (rc == CURLE_OK && options->ca_bundle)
        rc = curl_easy_setopt(curl, CURLOPT_PROXY_CAINFO, options->ca_bundle);
    /* Where libcurl has another TLS than OpenSSL it says no, and the memory is that one's affair.
     */
    if (rc == CURLE_OK && options->forgetful)
        (void)curl_easy_setopt(curl, CURLOPT_SSL_CTX_FUNCTION, clear_what_was_read);
    if (rc == CURLE_OK)
        rc = curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    return rc;
}

static CURL *handle_new(const struct http_options *options) {
    CURL *curl = curl_easy_init();
    if (curl && set_up(curl, options) != CURLE_OK) {
        curl_easy_cleanup(curl);
        curl = NULL;
    }
    return curl;
}

static void set_method(CURL *curl, const struct http_request *request) {
    bool post = strcmp(request->method, "POST") == 0;
    if (post)
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->body ? request->body : "");
    else
        curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, post ? NULL : request->method);
}

/* Points a handle at the exchange's server, and the way there. */
static CURLcode set_server(struct exchange *x, const char *url) {
    CURL *curl = x->curl;
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, x->error);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, x);
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, x);
    curl_easy_setopt(curl, CURLOPT_PROXYPORT, (long)x->proxy.port);
    /* An empty one is none, whatever libcurl finds in the environment. */
    CURLcode rc = curl_easy_setopt(curl, CURLOPT_PROXY, x->proxy.url ? x->proxy.url : "");
    x->moved_ms = now_ms();
    return rc == CURLE_OK ? curl_easy_setopt(curl, CURLOPT_URL, url) : rc;
}

static CURLcode set_exchange(struct exchange *x, const struct http_request *request,
                             struct curl_slist *lines) {
    CURL *curl = x->curl;
    set_method(curl, request);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, x);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, x);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, lines);
    return set_server(x, request->url);
}

/* What is gone after the exchange, and libcurl might touch when it closes the connection. */
static void unset_exchange(CURL *curl) {
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, NULL);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, NULL);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, NULL);
}

static void give_back(struct http_pool *pool, CURL *curl) {
    pthread_mutex_lock(&pool->lock);
    pool->handles[pool->idle++] = curl;
    pthread_cond_signal(&pool->returned);
    pthread_mutex_unlock(&pool->lock);
}

/* Takes the handle that came back last: its connection is the likeliest to be alive. */
static int borrow(struct http_pool *pool, CURL **ret) {
    pthread_mutex_lock(&pool->lock);
    while (pool->idle == 0 && !http_pool_stopped(pool))
        pthread_cond_wait(&pool->returned, &pool->lock);
    bool stopped = http_pool_stopped(pool);
    CURL *curl = stopped ? NULL : pool->handles[--pool->idle];
    pthread_mutex_unlock(&pool->lock);
    if (stopped)
        return -ECANCELED;
    if (!curl)
        curl = handle_new(&pool->options);
    if (!curl) {
        give_back(pool, NULL);
        return -ENOMEM;
    }
    *ret = curl;
    return 0;
}

static int header_lines(const char *const headers[], struct curl_slist **ret) {
    struct curl_slist *lines = NULL;
    for (; *headers; headers++) {
        struct curl_slist *longer = curl_slist_append(lines, *headers);
        if (!longer) {
            curl_slist_free_all(lines);
            return -ENOMEM;
        }
        lines = longer;
    }
    *ret = lines;
    return 0;
}

/* Names the URL's host and port, less what a URL may hold before them. */
static void name_host(struct exchange *x, const char *url) {
    const char *at = strstr(url, "://");
    at = at ? at + 3 : url;
    int len = (int)strcspn(at, "/?#");
    const char *user = memrchr(at, '@', (size_t)len);
    if (user) {
        len -= (int)(user + 1 - at);
        at = user + 1;
    }
    const char *colon = memrchr(at, ':', (size_t)len);
    bool port = colon && !memchr(colon, ']', (size_t)(at + len - colon));
    const char *usual = strncasecmp(url, "https:", 6) == 0 ? ":443" : ":80";
    snprintf(x->host, sizeof x->host, "%.*s%s", len, at, port ? "" : usual);
}

static const char *header(CURL *curl, const char *name) {
    struct curl_header *found = NULL;
    bool is = curl_easy_header(curl, name, 0, CURLH_HEADER, -1, &found) == CURLHE_OK;
    return is ? found->value : "";
}

/* Copies a header's value; one that does not fit is none, since a cut one would mislead. */
static void copy_value(const char *value, size_t len, char *ret, size_t size) {
    ret[0] = '\0';
    if (len >= size)
        return;
    memcpy(ret, value, len);
    ret[len] = '\0';
}

static void copy_etag(const char *value, char *ret, size_t size) {
    if (strncmp(value, "W/", 2) == 0)
        value += 2;
    size_t len = strlen(value);
    if (len >= 2 && value[0] == '"' && value[len - 1] == '"') {
        value++;
        len -= 2;
    }
    copy_value(value, len, ret, size);
}

static int64_t parse_date(const char *value) {
    time_t date = curl_getdate(value, NULL);
    return date < 0 ? 0 : (int64_t)date;
}

/* Seconds, or a date (RFC 9110, 10.2.3), which counts from the server's own. */
static unsigned parse_retry_after(const char *value, int64_t date) {
    size_t digits = strspn(value, "0123456789");
    int64_t seconds = 0;
    if (digits > 0 && value[digits] == '\0')
        for (size_t i = 0; i < digits && seconds < 100000; i++)
            seconds = seconds * 10 + (value[i] - '0');
    else if (date > 0)
        seconds = parse_date(value) - date;
    return seconds < 0 ? 0 : seconds > 100000 ? 100000 : (unsigned)seconds;
}

/* SSE-KMS and SSE-C ETags look like an MD5 and are none ("Common response headers"). */
static bool is_etag_opaque(CURL *curl) {
    return strncmp(header(curl, "x-amz-server-side-encryption"), "aws:kms", 7) == 0 ||
           header(curl, "x-amz-server-side-encryption-customer-algorithm")[0] != '\0';
}

static void read_answer(struct exchange *x, struct http_answer *ret) {
    CURL *curl = x->curl;
    long status = 0;
    curl_off_t length = -1;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    *ret = (struct http_answer){.status = (int)status, .content_length = length};
    ret->date = parse_date(header(curl, "date"));
    ret->retry_after_s = parse_retry_after(header(curl, "retry-after"), ret->date);
    ret->etag_opaque = is_etag_opaque(curl);
    ret->error_body = x->error_body;
    copy_etag(header(curl, "etag"), ret->etag, sizeof ret->etag);
    const char *region = header(curl, "x-amz-bucket-region");
    copy_value(region, strlen(region), ret->bucket_region, sizeof ret->bucket_region);
}

static const struct cause *find_cause(const struct cause *among, size_t count, CURLcode code) {
    for (size_t i = 0; i < count; i++)
        if (among[i].code == code)
            return &among[i];
    return NULL;
}

static int explain_proxy(const struct exchange *x, int err, const char *does, struct fault *fault) {
    return fault_set(fault, err, "%s is asked through the proxy %s (%s), which %s", x->host,
                     x->proxy.name, x->proxy.variable, does);
}

/* What a proxy answers that lets a request not through. */
static int explain_proxy_status(const struct exchange *x, long status, struct fault *fault) {
    char does[200];
    if (status == 407)
        return explain_proxy(x, -EPROTO,
                             x->proxy.has_user
                                 ? "refuses the user or the password that the variable holds: "
                                   "check both (special characters are written as %XX)"
                                 : "wants a user and a password: write them into the variable, as "
                                   "http://USER:PASSWORD@HOST:PORT",
                             fault);
    bool passes = status >= 500;
    snprintf(does, sizeof does,
             passes
                 ? "cannot reach it (status %ld): check the endpoint's name, and the proxy's own "
                   "network"
                 : "does not let requests through to it (status %ld): have it allow that host, "
                   "or name the host in NO_PROXY",
             status);
    return explain_proxy(x, passes ? -ENETDOWN : -EPROTO, does, fault);
}

/* Where it is the proxy that failed. Returns 0 where it is not. */
static int explain_by_proxy(const struct exchange *x, CURLcode rc, struct fault *fault) {
    const struct cause *cause =
        find_cause(proxy_causes, sizeof proxy_causes / sizeof *proxy_causes, rc);
    long status = 0;
    curl_easy_getinfo(x->curl, CURLINFO_HTTP_CONNECTCODE, &status);
    if (status >= 300)
        return explain_proxy_status(x, status, fault);
    bool proxy_alone = rc == CURLE_COULDNT_RESOLVE_PROXY || rc == CURLE_PROXY;
    return cause && (x->to_proxy || proxy_alone)
               ? explain_proxy(x, cause->err, cause->sentence, fault)
               : 0;
}

/* Why libcurl did not bring a whole answer. */
static int explain(const struct exchange *x, CURLcode rc, struct fault *fault) {
    if (x->err == -ECANCELED)
        return fault_set(fault, -ECANCELED, "the request to %s was given up", x->host);
    if (x->err)
        return fault_set(fault, x->err, "what %s sent could not be taken: %s", x->host,
                         strerrordesc_np(-x->err));
    if (x->header_bytes > HEADERS_MAX)
        return fault_set(fault, -EPROTO, "%s sends headers without end", x->host);
    if (x->stalled)
        return fault_set(fault, x->begun ? -ETIMEDOUT : -ENETDOWN,
                         "%s fell silent: nothing came for %u ms", x->host,
                         x->pool->options.stall_timeout_ms);
    int err = explain_by_proxy(x, rc, fault);
    if (err)
        return err;
    const struct cause *cause = find_cause(causes, sizeof causes / sizeof *causes, rc);
    const char *detail = x->error[0] ? x->error : curl_easy_strerror(rc);
    cause = cause ? cause : &other_cause;
    return fault_set(fault, cause->err, "%s %s (%s)", x->host, cause->sentence, detail);
}

static int perform(struct exchange *x, const struct http_request *request, struct curl_slist *lines,
                   struct http_answer *ret, struct fault *fault) {
    CURLcode rc = set_exchange(x, request, lines);
    if (rc == CURLE_OK)
        rc = curl_easy_perform(x->curl);
    unset_exchange(x->curl);
    if (rc != CURLE_OK && !(x->body_full && !x->err))
        return explain(x, rc, fault);
    struct http_answer answer;
    read_answer(x, &answer);
    /* Only proxies answer so. */
    if (answer.status == 407 && x->proxy.url)
        return explain_proxy_status(x, answer.status, fault);
    if (answer.status < 200 || answer.status > 599)
        return fault_set(fault, -EPROTO, "%s answers with status %d, which HTTP does not have",
                         x->host, answer.status);
    *ret = answer;
    return 0;
}

/* Names the server, and finds the way to it. */
static int aim(struct exchange *x, const char *url, struct fault *fault) {
    name_host(x, url);
    return x->pool->options.direct ? 0 : proxy_find(url, &x->proxy, fault);
}

int http_send(struct http_pool *pool, const struct http_request *request, bytes_sink sink,
              void *ctx, struct http_answer *ret, struct fault *fault) {
    struct exchange x = {.pool = pool, .sink = sink, .ctx = ctx};
    /* It may quote what was signed, a session token among that. */
    buf_init_secret(&x.error_body, ERROR_BODY_MAX);
    struct curl_slist *lines;
    int err = aim(&x, request->url, fault);
    if (err)
        return err;
    err = header_lines(request->headers, &lines);
    if (err)
        return fault_set(fault, err, "%s cannot be asked: memory is exhausted", x.host);
    err = borrow(pool, &x.curl);
    if (err) {
        fault_set(fault, err, "the request to %s was not sent: %s", x.host, strerrordesc_np(-err));
    } else {
        err = perform(&x, request, lines, ret, fault);
        /* Some libcurls keep what they read last as long as the handle. */
        if (pool->options.forgetful) {
            curl_easy_cleanup(x.curl);
            x.curl = NULL;
        }
        give_back(pool, x.curl);
    }
    curl_slist_free_all(lines);
    if (err)
        buf_free(&x.error_body);
    return err;
}

int http_get(struct http_pool *pool, const char *url, const char *const headers[], bytes_sink sink,
             void *ctx, struct http_answer *ret, struct fault *fault) {
    const struct http_request request = {.method = "GET", .url = url, .headers = headers};
    return http_send(pool, &request, sink, ctx, ret, fault);
}

/* --- A connection alone ----------------------------------------------------------------------- */

static bool is_of_tls(CURLcode rc) {
    return rc == CURLE_SSL_CONNECT_ERROR || rc == CURLE_PEER_FAILED_VERIFICATION ||
           rc == CURLE_SSL_CACERT_BADFILE || rc == CURLE_SSL_ISSUER_ERROR ||
           rc == CURLE_SSL_CIPHER || rc == CURLE_SSL_CERTPROBLEM;
}

/* When the server's own certificate, which is the first, ends. */
static void copy_expiry(CURL *curl, char *ret, size_t size) {
    static const char name[] = "Expire date:";
    struct curl_certinfo *info = NULL;
    curl_easy_getinfo(curl, CURLINFO_CERTINFO, &info);
    const struct curl_slist *line = info && info->num_of_certs > 0 ? info->certinfo[0] : NULL;
    while (line && strncmp(line->data, name, strlen(name)) != 0)
        line = line->next;
    if (line)
        copy_value(line->data + strlen(name), strlen(line->data + strlen(name)), ret, size);
}

static void read_reach(CURL *curl, CURLcode rc, struct http_reach *ret) {
    char *ip = NULL;
    long port = 0;
    *ret = (struct http_reach){0};
    curl_easy_getinfo(curl, CURLINFO_PRIMARY_IP, &ip);
    curl_easy_getinfo(curl, CURLINFO_PRIMARY_PORT, &port);
    if (ip && ip[0])
        snprintf(ret->address, sizeof ret->address, "%s, port %ld", ip, port);
    ret->connected = ret->address[0] && (rc == CURLE_OK || is_of_tls(rc));
    copy_expiry(curl, ret->expires, sizeof ret->expires);
}

int http_reach(struct http_pool *pool, const char *url, struct http_reach *ret,
               struct fault *fault) {
    struct exchange x = {.pool = pool};
    *ret = (struct http_reach){0};
    int err = aim(&x, url, fault);
    if (err)
        return err;
    x.curl = handle_new(&pool->options);
    if (!x.curl)
        return fault_set(fault, -ENOMEM, "%s cannot be asked: memory is exhausted", x.host);
    curl_easy_setopt(x.curl, CURLOPT_CERTINFO, 1L);
    curl_easy_setopt(x.curl, CURLOPT_CONNECT_ONLY, 1L);
    CURLcode rc = set_server(&x, url);
    if (rc == CURLE_OK)
        rc = curl_easy_perform(x.curl);
    read_reach(x.curl, rc, ret);
    err = rc == CURLE_OK ? 0 : explain(&x, rc, fault);
    curl_easy_cleanup(x.curl);
    return err;
}
