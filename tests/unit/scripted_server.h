/*
 * An HTTP server that plays a script: a thread on 127.0.0.1 which answers the first request with
 * the first reply, the second with the second, and so on, and keeps what was asked.
 */
#ifndef MACIEFS_TESTS_SCRIPTED_SERVER_H
#define MACIEFS_TESTS_SCRIPTED_SERVER_H

#include <arpa/inet.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SERVER_CONNECTIONS_MAX 64
#define SERVER_REPLIES_MAX 16
#define SERVER_REQUEST_MAX 262144

enum server_then {
    THEN_KEEP,  /* the connection is kept for the next request */
    THEN_CLOSE, /* it is closed */
    THEN_RESET, /* it is reset (RST) */
    THEN_HANG,  /* it is kept, and silent from now on */
};

struct server_reply {
    char *bytes;
    size_t len;
    enum server_then then;
};

struct server {
    int fd;
    unsigned port;
    pthread_t thread;
    pthread_mutex_t lock; /* guards all below */
    struct server_reply replies[SERVER_REPLIES_MAX];
    char *requests[SERVER_REPLIES_MAX]; /* head and body */
    size_t reply_count, asked;
    struct server_connection {
        struct server *server;
        int fd;
        pthread_t thread;
    } connections[SERVER_CONNECTIONS_MAX];
    size_t connection_count;
};

static inline void server_die(const char *what) {
    perror(what);
    abort();
}

/* Reads one byte more, if it has room. False when the client is gone. */
static inline int server_read_byte(int fd, char *at, size_t *len) {
    if (*len == SERVER_REQUEST_MAX - 1 || recv(fd, at + *len, 1, 0) <= 0)
        return 0;
    at[++*len] = '\0';
    return 1;
}

/* Reads one request: its head, and the body that a content-length announces. False when the client
 * is gone. */
static inline int server_read_request(int fd, char *request) {
    size_t len = 0;
    request[0] = '\0';
    while (!strstr(request, "\r\n\r\n"))
        if (!server_read_byte(fd, request, &len))
            return 0;
    const char *line = strcasestr(request, "\r\ncontent-length:");
    unsigned long body = line ? strtoul(line + strlen("\r\ncontent-length:"), NULL, 10) : 0;
    for (; body > 0; body--)
        if (!server_read_byte(fd, request, &len))
            return 0;
    return 1;
}

static inline void server_send(int fd, const char *at, size_t len) {
    while (len > 0) {
        ssize_t n = send(fd, at, len, MSG_NOSIGNAL);
        if (n <= 0)
            return;
        at += n;
        len -= (size_t)n;
    }
}

static inline void *server_serve(void *ctx) {
    struct server_connection *connection = ctx;
    struct server *server = connection->server;
    enum server_then then = THEN_KEEP;
    char *request = malloc(SERVER_REQUEST_MAX);
    if (!request)
        server_die("malloc");
    while (then == THEN_KEEP && server_read_request(connection->fd, request)) {
        pthread_mutex_lock(&server->lock);
        size_t n = server->asked++;
        struct server_reply reply = {.then = THEN_CLOSE};
        if (n < server->reply_count) {
            reply = server->replies[n];
            server->requests[n] = strdup(request);
        }
        pthread_mutex_unlock(&server->lock);
        server_send(connection->fd, reply.bytes, reply.len);
        then = reply.then;
    }
    while (then == THEN_HANG && recv(connection->fd, request, 1, 0) > 0)
        continue;
    free(request);
    if (then == THEN_RESET) {
        struct linger now = {.l_onoff = 1};
        setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    }
    pthread_mutex_lock(&server->lock);
    close(connection->fd);
    connection->fd = -1;
    pthread_mutex_unlock(&server->lock);
    return NULL;
}

static inline void *server_accept(void *ctx) {
    struct server *server = ctx;
    int fd;
    while ((fd = accept(server->fd, NULL, NULL)) >= 0) {
        pthread_mutex_lock(&server->lock);
        if (server->connection_count == SERVER_CONNECTIONS_MAX)
            server_die("too many connections");
        struct server_connection *connection = &server->connections[server->connection_count++];
        *connection = (struct server_connection){.server = server, .fd = fd};
        if (pthread_create(&connection->thread, NULL, server_serve, connection))
            server_die("pthread_create");
        pthread_mutex_unlock(&server->lock);
    }
    return NULL;
}

static inline void server_start(struct server *server) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    *server = (struct server){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    pthread_mutex_init(&server->lock, NULL);
    if (server->fd < 0 || bind(server->fd, (struct sockaddr *)&address, len) ||
        listen(server->fd, 64) || getsockname(server->fd, (struct sockaddr *)&address, &len))
        server_die("listen");
    server->port = ntohs(address.sin_port);
    if (pthread_create(&server->thread, NULL, server_accept, server))
        server_die("pthread_create");
}

/* Appends bytes as they go over the wire to the script; takes them over. */
static inline void server_add_bytes(struct server *server, enum server_then then, char *bytes,
                                    size_t len) {
    pthread_mutex_lock(&server->lock);
    if (!bytes || server->reply_count == SERVER_REPLIES_MAX)
        server_die("server_add");
    server->replies[server->reply_count++] =
        (struct server_reply){.bytes = bytes, .len = len, .then = then};
    pthread_mutex_unlock(&server->lock);
}

__attribute__((format(printf, 3, 4))) static inline void
server_add(struct server *server, enum server_then then, const char *format, ...) {
    va_list args;
    va_start(args, format);
    char *bytes = NULL;
    int len = vasprintf(&bytes, format, args);
    va_end(args);
    if (len < 0)
        server_die("vasprintf");
    server_add_bytes(server, then, bytes, (size_t)len);
}

/* Appends a whole answer: "200 OK", more header lines each with its "\r\n", and a body. */
static inline void server_answer(struct server *server, const char *status, const char *headers,
                                 const char *body) {
    server_add(server, THEN_KEEP, "HTTP/1.1 %s\r\ncontent-length: %zu\r\n%s\r\n%s", status,
               strlen(body), headers, body);
}

static inline size_t server_asked(struct server *server) {
    pthread_mutex_lock(&server->lock);
    size_t asked = server->asked;
    pthread_mutex_unlock(&server->lock);
    return asked;
}

static inline size_t server_connections(struct server *server) {
    pthread_mutex_lock(&server->lock);
    size_t count = server->connection_count;
    pthread_mutex_unlock(&server->lock);
    return count;
}

static inline void server_stop(struct server *server) {
    shutdown(server->fd, SHUT_RDWR);
    pthread_join(server->thread, NULL);
    close(server->fd);
    for (size_t i = 0; i < server->connection_count; i++) {
        pthread_mutex_lock(&server->lock);
        if (server->connections[i].fd >= 0)
            shutdown(server->connections[i].fd, SHUT_RDWR);
        pthread_mutex_unlock(&server->lock);
        pthread_join(server->connections[i].thread, NULL);
    }
    for (size_t i = 0; i < server->reply_count; i++) {
        free(server->replies[i].bytes);
        free(server->requests[i]);
    }
    pthread_mutex_destroy(&server->lock);
}

/* A port of 127.0.0.1 that nobody listens on. */
static inline unsigned server_refusing_port(void) {
    struct server server;
    server_start(&server);
    unsigned port = server.port;
    server_stop(&server);
    return port;
}

#endif
