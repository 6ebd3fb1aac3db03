/* What the tests of providers share: files, and looks at faults and requests. */
#ifndef MACIEFS_CREDENTIALS_KIT_H
#define MACIEFS_CREDENTIALS_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <maciefs/credentials.h>

#include "scripted_server.h"

static inline void write_file(const char *path, const char *text) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

/* Makes an empty file; writes its path. */
static inline void make_file(char path[static 32]) {
    strcpy(path, "/tmp/maciefs-test-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
}

static inline void unset_all(const char *const *variables, size_t count) {
    for (size_t i = 0; i < count; i++)
        unsetenv(variables[i]);
}

static inline void assert_holds(const char *text, const char *part) {
    if (!strcasestr(text, part))
        fail_msg("'%s' is not in '%s'", part, text);
}

/* The request, in any case of its letters. */
static inline void assert_asked(struct server *server, size_t request, const char *part) {
    assert_holds(server->requests[request], part);
}

#endif
