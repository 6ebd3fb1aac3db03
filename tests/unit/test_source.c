#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <ftw.h>
#include <maciefs/folder.h>

#define MODEL_MAX 4096
#define OLD 1700000000 /* an mtime that is long past */

/* ---- A folder on disk, and what is in it ---- */

struct fixture {
    char root[64];
    struct config config;
    struct source *source;
    struct fault fault;
    char *keys[MODEL_MAX]; /* sorted, once `sort` was called */
    size_t count;
    unsigned random;
};

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    snprintf(f->root, sizeof f->root, "/tmp/maciefs-source-XXXXXX");
    assert_non_null(mkdtemp(f->root));
    f->config.scheme = CONFIG_FILE;
    f->config.bucket = f->root;
    static char nothing[] = "";
    f->config.prefix = nothing;
    assert_int_equal(source_open(&f->config, &f->source, &f->fault), 0);
    *state = f;
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

static int teardown(void **state) {
    struct fixture *f = *state;
    source_free(f->source);
    nftw(f->root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    for (size_t i = 0; i < f->count; i++)
        free(f->keys[i]);
    free(f);
    return 0;
}

static void path_of(const struct fixture *f, const char *key, char ret[2048]) {
    snprintf(ret, 2048, "%s/%s", f->root, key);
}

static void make_folders(const struct fixture *f, const char *key) {
    char path[2048];
    path_of(f, key, path);
    for (char *slash = path + strlen(f->root) + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        if (mkdir(path, 0755) != 0 && errno != EEXIST)
            fail_msg("mkdir %s", path);
        *slash = '/';
    }
}

static void set_mtime(const struct fixture *f, const char *key, time_t second, long ns) {
    char path[2048];
    path_of(f, key, path);
    const struct timespec times[2] = {{second, ns}, {second, ns}};
    assert_int_equal(utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW), 0);
}

static void write_file(const struct fixture *f, const char *key, const char *text) {
    char path[2048];
    make_folders(f, key);
    path_of(f, key, path);
    FILE *file = fopen(path, "w");
    if (!file)
        fail_msg("cannot write %s", path);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
    set_mtime(f, key, OLD, 5);
}

/* A file that is on disk and in the model. */
static void add_key(struct fixture *f, const char *key) {
    write_file(f, key, key);
    f->keys[f->count] = strdup(key);
    assert_non_null(f->keys[f->count++]);
}

static int compare_keys(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static unsigned next_random(struct fixture *f, unsigned below) {
    f->random = f->random * 1664525u + 1013904223u;
    return (f->random >> 8) % below;
}

/* ---- The model: filter the sorted keys, fold them, cut them into pages ---- */

static bool begins(const char *text, const char *with) {
    return strncmp(text, with, strlen(with)) == 0;
}

/* The next entry behind position *at: an object's key, or a folder that is to be freed as well. */
static char *model_next(const struct fixture *f, const struct list_query *query, size_t *at) {
    for (; *at < f->count; ++*at) {
        const char *key = f->keys[*at];
        if (!begins(key, query->prefix) || strcmp(key, query->after) <= 0)
            continue;
        const char *slash = query->fold ? strchr(key + strlen(query->prefix), query->fold) : NULL;
        char *entry = slash ? strndup(key, (size_t)(slash + 1 - key)) : strdup(key);
        assert_non_null(entry);
        ++*at;
        while (slash && *at < f->count && begins(f->keys[*at], entry))
            ++*at;
        return entry;
    }
    return NULL;
}

static const char *page_entry(const struct listing *page, size_t *object, size_t *folder) {
    bool has_object = *object < page->object_count, has_folder = *folder < page->folder_count;
    if (has_object &&
        (!has_folder || strcmp(page->objects[*object].key, page->folders[*folder]) < 0))
        return page->objects[(*object)++].key;
    return has_folder ? page->folders[(*folder)++] : NULL;
}

static void check_page(const struct fixture *f, const struct list_query *query,
                       const struct listing *page, size_t *at) {
    size_t object = 0, folder = 0;
    const char *entry;
    while ((entry = page_entry(page, &object, &folder))) {
        char *wanted = model_next(f, query, at);
        if (!wanted || strcmp(entry, wanted) != 0)
            fail_msg("prefix \"%s\" after \"%s\" limit %u%s: \"%s\" instead of \"%s\"",
                     query->prefix, query->after, query->limit, query->fold ? " folders" : "",
                     entry, wanted ? wanted : "the end");
        free(wanted);
    }
    assert_int_equal(page->skipped, 0);
}

/* Lists page after page and compares with the model. */
static void check_query(struct fixture *f, struct list_query query) {
    size_t at = 0;
    char *token = NULL;
    do {
        struct listing page = {0};
        query.token = token;
        if (source_list(f->source, &query, &page, &f->fault) != 0)
            fail_msg("%s", f->fault.text);
        check_page(f, &query, &page, &at);
        size_t entries = page.object_count + page.folder_count;
        assert_true(page.next ? entries == query.limit : entries <= query.limit);
        free(token);
        token = page.next ? strdup(page.next) : NULL;
        listing_free(&page);
    } while (token);
    char *missing = model_next(f, &query, &at);
    if (missing)
        fail_msg("prefix \"%s\" after \"%s\": \"%s\" is missing", query.prefix, query.after,
                 missing);
}

static void check_both(struct fixture *f, const char *prefix, const char *after, unsigned limit) {
    check_query(f, (struct list_query){.prefix = prefix, .after = after, .limit = limit});
    check_query(f,
                (struct list_query){.prefix = prefix, .after = after, .limit = limit, .fold = '/'});
}

/* ---- Listing ---- */

static void test_empty(void **state) {
    struct fixture *f = *state;
    check_both(f, "", "", 10);
    make_folders(f, "a/b/c/");
    check_both(f, "", "", 10);
    check_both(f, "a/", "", 10);
}

/* Where the order of whole paths differs from that of names, and where it is easily got wrong. */
static void test_order_of_whole_paths(void **state) {
    struct fixture *f = *state;
    static const char *const KEYS[] = {
        "a-b", "a.b",   "a/b",   "a/b-c/d", "a/b.d/e", "a/b0",      "a0",
        "a b", "A",     "\x80z", "\xff/x",  "a/\x01",  "a/ ",       "a\n/b",
        "%2F", "a%2Fb", "..a/b", "...",     ".x/y",    "z/z/z/z/z",
    };
    static const char *const EDGES[] = {
        "",   "a",     "a/",     "a/b", "a/b-c/", "a/b-c/d", "a0", "b",     "\xff", "\xff/",
        "z/", "z/z/z", "z/z/zz", "../", "/",      "a//",     ".",  "\x80z", "a/b/",
    };
    const size_t edges = sizeof EDGES / sizeof *EDGES;
    for (size_t i = 0; i < sizeof KEYS / sizeof *KEYS; i++)
        add_key(f, KEYS[i]);
    qsort(f->keys, f->count, sizeof *f->keys, compare_keys);
    for (size_t i = 0; i < edges * edges; i++)
        for (unsigned limit = 1; limit <= f->count + 1; limit += limit < 4 ? 1 : 5)
            check_both(f, EDGES[i / edges], EDGES[i % edges], limit);
}

static void random_key(struct fixture *f, unsigned components, char ret[64]) {
    static const char CHARS[] = "ab-./0~";
    size_t len = 0;
    for (unsigned i = 0; i < components; i++) {
        unsigned chars = 1 + next_random(f, 2);
        for (unsigned j = 0; j < chars; j++) {
            char c = CHARS[next_random(f, sizeof CHARS - 1)];
            ret[len++] = c == '/' ? 'c' : c == '.' && j == 0 ? 'd' : c;
        }
        ret[len++] = '/';
    }
    ret[len - 1] = '\0';
}

/* Adds the key unless a folder of its name is there, or a file where it needs a folder. */
static void add_random_key(struct fixture *f) {
    char key[64], path[2048];
    struct stat st;
    random_key(f, 1 + next_random(f, 4), key);
    for (char *slash = key; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        path_of(f, key, path);
        *slash = '/';
        if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode))
            return;
    }
    path_of(f, key, path);
    if (stat(path, &st) != 0)
        add_key(f, key);
}

static void test_random_trees(void **state) {
    struct fixture *f = *state;
    f->random = 20261124;
    for (int round = 0; round < 8; round++) {
        for (int i = 0; i < 30; i++)
            add_random_key(f);
        qsort(f->keys, f->count, sizeof *f->keys, compare_keys);
        for (unsigned limit = 1; limit <= f->count + 1; limit += 1 + f->count / 20)
            check_both(f, "", "", limit);
        for (int i = 0; i < 60; i++) {
            char prefix[64], after[64];
            random_key(f, 1 + next_random(f, 3), prefix);
            random_key(f, 1 + next_random(f, 3), after);
            prefix[next_random(f, (unsigned)strlen(prefix) + 1)] = '\0';
            check_both(f, prefix, after, 1 + next_random(f, 12));
            check_both(f, prefix, f->keys[next_random(f, (unsigned)f->count)], 3);
        }
    }
}

/* More names in one folder than a page holds, written in no order. */
static void test_folder_of_many_files(void **state) {
    struct fixture *f = *state;
    for (unsigned i = 0; i < 2500; i++) {
        char key[64];
        snprintf(key, sizeof key, "2026/11/24/05/%04u", i * 7919 % 2500);
        add_key(f, key);
    }
    qsort(f->keys, f->count, sizeof *f->keys, compare_keys);
    check_both(f, "", "", 1000);
    check_both(f, "2026/11/24/05/", "2026/11/24/05/1234", 1000);
    check_both(f, "2026/11/24/05/", "", 37);
    struct listing page = {0};
    assert_int_equal(source_list(f->source, &(struct list_query){0}, &page, &f->fault), 0);
    assert_int_equal(page.object_count, LISTING_PAGE_MAX);
    listing_free(&page);
    struct list_query query = {.limit = 5000};
    assert_int_equal(source_list(f->source, &query, &page, &f->fault), 0);
    assert_int_equal(page.object_count, LISTING_PAGE_MAX);
    listing_free(&page);
}

static void list_all(struct fixture *f, struct listing *page) {
    assert_int_equal(source_list(f->source, &(struct list_query){0}, page, &f->fault), 0);
}

static void test_what_an_object_is(void **state) {
    struct fixture *f = *state;
    struct listing page = {0};
    write_file(f, "a/x", "12345");
    time_t before = time(NULL);
    list_all(f, &page);
    assert_true(page.now >= before && page.now <= time(NULL));
    assert_int_equal(page.object_count, 1);
    assert_string_equal(page.objects[0].key, "a/x");
    assert_int_equal(page.objects[0].size, 5);
    assert_int_equal(page.objects[0].modified, OLD);
    char etag[OBJECT_ETAG_MAX + 1];
    memcpy(etag, page.objects[0].etag, sizeof etag);
    listing_free(&page);
    set_mtime(f, "a/x", OLD, 6);
    list_all(f, &page);
    assert_string_not_equal(page.objects[0].etag, etag);
    listing_free(&page);
    assert_string_equal(f->source->prefix, "");
    assert_string_equal(f->source->bucket, f->root);
    assert_memory_equal(f->source->name, "file:///tmp/", 12);
}

static void test_only_settled_regular_files(void **state) {
    struct fixture *f = *state;
    char path[2048];
    struct timespec now;
    struct listing page = {0};
    write_file(f, "old", "x");
    write_file(f, "future", "x");
    write_file(f, "tree/x", "x");
    set_mtime(f, "future", time(NULL) + 1000, 0);
    write_file(f, "oldest", "x");
    set_mtime(f, "oldest", -5, 0);
    path_of(f, "fifo", path);
    assert_int_equal(mkfifo(path, 0644), 0);
    set_mtime(f, "fifo", OLD, 0);
    path_of(f, "link", path);
    assert_int_equal(symlink("old", path), 0);
    path_of(f, "links", path);
    assert_int_equal(symlink("tree", path), 0);
    path_of(f, "up", path);
    assert_int_equal(symlink("..", path), 0);
    list_all(f, &page);
    assert_int_equal(page.object_count, 3);
    assert_string_equal(page.objects[0].key, "old");
    assert_string_equal(page.objects[1].key, "oldest");
    assert_int_equal(page.objects[1].modified, -5);
    assert_string_equal(page.objects[2].key, "tree/x");
    assert_false(page.unsettled); /* what comes from the future will not be there soon */
    listing_free(&page);
    page = (struct listing){0};
    write_file(f, "tree/new", "x"); /* less than a second ago */
    clock_gettime(CLOCK_REALTIME, &now);
    set_mtime(f, "tree/new", now.tv_sec, now.tv_nsec);
    list_all(f, &page);
    assert_int_equal(page.object_count, 3);
    assert_true(page.unsettled);
    listing_free(&page);
}

/* A folder in which nothing is listed yet is none. */
static void test_folder_of_unsettled_files(void **state) {
    struct fixture *f = *state;
    struct listing page = {0};
    write_file(f, "a/b/new", "x");
    set_mtime(f, "a/b/new", time(NULL) + 1000, 0);
    write_file(f, "c/d/old", "x");
    struct list_query query = {.fold = '/'};
    assert_int_equal(source_list(f->source, &query, &page, &f->fault), 0);
    assert_int_equal(page.folder_count, 1);
    assert_string_equal(page.folders[0], "c/");
    listing_free(&page);
}

static void test_paths_too_long_are_counted(void **state) {
    struct fixture *f = *state;
    char key[1200];
    struct listing page = {0};
    for (size_t i = 0; i < sizeof key; i++)
        key[i] = i % 200 == 199 ? '/' : 'k';
    key[1024] = '\0';
    write_file(f, key, "fits");
    key[1024] = 'k';
    key[1025] = '\0';
    write_file(f, key, "too long");
    list_all(f, &page);
    assert_int_equal(page.object_count, 1);
    assert_int_equal(strlen(page.objects[0].key), OBJECT_KEY_MAX);
    assert_int_equal(page.skipped, 1);
    listing_free(&page);
}

static void test_unreadable_folder_is_named(void **state) {
    struct fixture *f = *state;
    char path[2048];
    struct listing page = {0};
    write_file(f, "a/locked/x", "x");
    path_of(f, "a/locked", path);
    assert_int_equal(chmod(path, 0), 0);
    assert_int_equal(chmod(f->root, 0755), 0);
    if (geteuid() == 0)
        assert_int_equal(seteuid(65534), 0);
    int err = source_list(f->source, &(struct list_query){0}, &page, &f->fault);
    if (getuid() == 0)
        assert_int_equal(seteuid(0), 0);
    assert_int_equal(err, -EACCES);
    assert_non_null(strstr(f->fault.text, "/a/locked"));
    assert_null(page.objects);
    assert_int_equal(chmod(path, 0755), 0);
}

/* ---- Fetching ---- */

struct taken {
    struct buf bytes;
    int err;
    const char *touch; /* path of a file to append to when the first bytes come */
    struct source *stop;
};

static int take(void *ctx, const uint8_t *at, size_t len) {
    struct taken *taken = ctx;
    if (taken->err)
        return taken->err;
    if (taken->touch) {
        FILE *file = fopen(taken->touch, "a");
        assert_non_null(file);
        fputs("more", file);
        fclose(file);
        taken->touch = NULL;
    }
    if (taken->stop)
        source_stop(taken->stop);
    return buf_append(&taken->bytes, at, len);
}

static int restart(void *ctx) {
    (void)ctx;
    return 0;
}

static int get(struct fixture *f, const struct object *object, struct taken *taken) {
    struct object_sink sink = {take, restart, taken};
    buf_free(&taken->bytes);
    buf_init(&taken->bytes, 1 << 20);
    return source_get(f->source, object, &sink, &f->fault);
}

static struct object listed(struct fixture *f, const char *key) {
    struct listing page = {0};
    struct list_query query = {.prefix = key};
    assert_int_equal(source_list(f->source, &query, &page, &f->fault), 0);
    assert_int_equal(page.object_count, 1);
    struct object object = page.objects[0];
    object.key = key;
    listing_free(&page);
    return object;
}

static void write_big(struct fixture *f, const char *key, size_t len) {
    char *text = malloc(len + 1);
    assert_non_null(text);
    for (size_t i = 0; i < len; i++)
        text[i] = (char)('a' + i * i % 23);
    text[len] = '\0';
    write_file(f, key, text);
    free(text);
}

static void test_get(void **state) {
    struct fixture *f = *state;
    struct taken taken = {0};
    write_file(f, "a/x", "hello");
    write_file(f, "a/empty", "");
    write_big(f, "big", 300001);
    struct object object = listed(f, "a/x");
    assert_int_equal(get(f, &object, &taken), 0);
    assert_int_equal(taken.bytes.len, 5);
    assert_memory_equal(taken.bytes.at, "hello", 5);
    object = listed(f, "a/empty");
    assert_int_equal(get(f, &object, &taken), 0);
    assert_int_equal(taken.bytes.len, 0);
    object = listed(f, "big");
    assert_int_equal(get(f, &object, &taken), 0);
    assert_int_equal(taken.bytes.len, 300001);
    for (size_t i = 0; i < taken.bytes.len; i++)
        assert_int_equal(taken.bytes.at[i], 'a' + i * i % 23);
    taken.err = -EDOM;
    assert_int_equal(get(f, &object, &taken), -EDOM);
    buf_free(&taken.bytes);
}

static void test_get_what_is_no_longer_so(void **state) {
    struct fixture *f = *state;
    char path[2048];
    struct taken taken = {0};
    write_file(f, "a/x", "hello");
    struct object object = listed(f, "a/x");
    set_mtime(f, "a/x", OLD + 1, 0);
    assert_int_equal(get(f, &object, &taken), -ESTALE);
    assert_non_null(strstr(f->fault.text, "/a/x"));
    assert_int_equal(taken.bytes.len, 0);
    path_of(f, "a/x", path);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(get(f, &object, &taken), -ENOENT);
    assert_non_null(strstr(f->fault.text, "/a/x"));
    write_file(f, "elsewhere", "hello");
    assert_int_equal(symlink("../elsewhere", path), 0);
    assert_int_equal(get(f, &object, &taken), -ENOENT);
    write_big(f, "big", 300000);
    object = listed(f, "big");
    path_of(f, "big", path);
    taken.touch = path;
    assert_int_equal(get(f, &object, &taken), -ESTALE);
    buf_free(&taken.bytes);
}

static void test_get_never_leaves_the_folder(void **state) {
    struct fixture *f = *state;
    char path[2048];
    struct taken taken = {0};
    write_file(f, "a/x", "hello");
    struct object object = listed(f, "a/x");
    path_of(f, "link", path);
    assert_int_equal(symlink("a", path), 0);
    path_of(f, "fifo", path);
    assert_int_equal(mkfifo(path, 0644), 0);
    static const char *const KEYS[] = {"link/x", "../x", "a/../a/x", "./a/x", "a//x",
                                       "/a/x",   "a/x/", "",         "a/x/y", "nowhere/x"};
    for (size_t i = 0; i < sizeof KEYS / sizeof *KEYS; i++) {
        object.key = KEYS[i];
        if (get(f, &object, &taken) != -ENOENT)
            fail_msg("\"%s\" was opened", KEYS[i]);
    }
    object.key = "fifo";
    assert_int_equal(get(f, &object, &taken), -ESTALE);
    object.key = "a";
    assert_int_equal(get(f, &object, &taken), -ESTALE);
    buf_free(&taken.bytes);
}

static void test_stop(void **state) {
    struct fixture *f = *state;
    struct taken taken = {.stop = f->source};
    struct listing page = {0};
    write_big(f, "big", 300000);
    struct object object = listed(f, "big");
    assert_int_equal(get(f, &object, &taken), -ECANCELED);
    assert_true(taken.bytes.len < 300000);
    assert_int_equal(get(f, &object, &taken), -ECANCELED);
    assert_int_equal(source_list(f->source, &(struct list_query){0}, &page, &f->fault), -ECANCELED);
    buf_free(&taken.bytes);
}

static void test_folder_that_is_not_there(void **state) {
    struct fixture *f = *state;
    struct source *source = NULL;
    struct config config = f->config;
    char path[2048];
    path_of(f, "none", path);
    config.bucket = path;
    assert_int_equal(source_open(&config, &source, &f->fault), -ENOENT);
    assert_non_null(strstr(f->fault.text, path));
    assert_null(source);
    write_file(f, "none", "a file");
    assert_int_equal(source_open(&config, &source, &f->fault), -ENOENT);
    assert_int_equal(source_reopen(&config, "", &source, &f->fault), 0);
    source_free(source);
    source_free(NULL);
}

/* ---- Pages ---- */

static void test_page_is_bounded(void **state) {
    (void)state;
    struct listing page = {0};
    char key[OBJECT_KEY_MAX + 2];
    memset(key, 'k', sizeof key);
    for (unsigned i = 0; i < LISTING_PAGE_MAX; i++) {
        int len = snprintf(key, sizeof key, "%u", i);
        int err = i % 3 ? listing_add_object(&page, key, (size_t)len, i, -(int)i, "tag")
                        : listing_add_folder(&page, key, (size_t)len);
        assert_int_equal(err, 0);
    }
    assert_int_equal(listing_add_object(&page, "x", 1, 1, 1, ""), -EMSGSIZE);
    assert_int_equal(listing_add_folder(&page, "x", 1), -EMSGSIZE);
    assert_int_equal(page.object_count + page.folder_count, LISTING_PAGE_MAX);
    assert_string_equal(page.objects[0].key, "1");
    assert_string_equal(page.objects[665].key, "998");
    assert_string_equal(page.folders[333], "999");
    assert_int_equal(page.objects[665].modified, -998);
    assert_string_equal(page.objects[665].etag, "tag");
    listing_free(&page);
    assert_null(page.objects);
    listing_free(&page);
    listing_free(NULL);
}

static void test_page_skips_what_is_no_key(void **state) {
    (void)state;
    struct listing page = {0};
    char long_text[9000];
    memset(long_text, 'k', sizeof long_text);
    long_text[sizeof long_text - 1] = '\0';
    assert_int_equal(listing_add_object(&page, long_text, OBJECT_KEY_MAX, 1, 1, ""), 0);
    assert_int_equal(page.skipped, 0);
    assert_int_equal(listing_add_object(&page, long_text, OBJECT_KEY_MAX + 1, 1, 1, ""), 0);
    assert_int_equal(listing_add_folder(&page, long_text, OBJECT_KEY_MAX + 1), 0);
    assert_int_equal(listing_add_object(&page, "a\0b", 3, 1, 1, ""), 0);
    assert_int_equal(listing_add_folder(&page, "a\0/", 3), 0);
    long_text[OBJECT_ETAG_MAX + 1] = '\0';
    assert_int_equal(listing_add_object(&page, "a", 1, 1, 1, long_text), 0);
    assert_int_equal(page.skipped, 5);
    assert_int_equal(listing_add_object(&page, "a", 1, 1, 1, long_text + 1), 0);
    assert_int_equal(page.object_count, 2);
    long_text[OBJECT_ETAG_MAX + 1] = 'k';
    assert_int_equal(listing_set_next(&page, long_text), -EMSGSIZE);
    assert_int_equal(listing_set_next(&page, "one"), 0);
    assert_int_equal(listing_set_next(&page, "two"), 0);
    assert_string_equal(page.next, "two");
    listing_free(&page);
}

/* ---- The prefix's form, over a bucket in memory ---- */

struct bucket {
    const char *keys[8];
    const char *denied; /* a prefix that may not be listed */
    unsigned made, freed;
};
static struct bucket bucket;

struct fake {
    struct source source;
    char prefix[64];
};

/* One page of whole keys, and a token where there are more: enough to look at. */
static int fake_list(struct source *source, const struct list_query *query, struct listing *ret,
                     struct fault *fault) {
    const struct fake *fake = (const struct fake *)source;
    char whole[128], last[128] = "";
    if (bucket.denied && strcmp(bucket.denied, fake->prefix) == 0)
        return fault_set(fault, -EACCES, "denied");
    snprintf(whole, sizeof whole, "%s%s", fake->prefix, query->prefix ? query->prefix : "");
    for (size_t i = 0; i < 8 && bucket.keys[i]; i++) {
        const char *key = bucket.keys[i] + strlen(fake->prefix);
        if (!begins(bucket.keys[i], whole))
            continue;
        const char *slash = strchr(key + (query->prefix ? strlen(query->prefix) : 0), '/');
        size_t len = slash ? (size_t)(slash + 1 - key) : strlen(key);
        if (slash && strlen(last) == len && strncmp(key, last, len) == 0)
            continue;
        if (ret->object_count + ret->folder_count == 3)
            return listing_set_next(ret, "more");
        snprintf(last, sizeof last, "%.*s", (int)len, key);
        int err =
            slash ? listing_add_folder(ret, key, len) : listing_add_object(ret, key, len, 1, 1, "");
        if (err)
            return err;
    }
    return 0;
}

static void fake_free(struct source *source) {
    bucket.freed++;
    free(source);
}

static const struct source_ops FAKE_OPS = {fake_list, NULL, NULL, fake_free};

static int fake_new(const struct config *config, const char *prefix, struct source **ret,
                    struct fault *fault) {
    (void)config;
    (void)fault;
    struct fake *fake = calloc(1, sizeof *fake);
    if (!fake)
        return -ENOMEM;
    snprintf(fake->prefix, sizeof fake->prefix, "%s", prefix);
    fake->source = (struct source){.ops = &FAKE_OPS, .prefix = fake->prefix};
    *ret = &fake->source;
    bucket.made++;
    return 0;
}

/* Which form is taken: its prefix, or "error N: sentence". */
static const char *resolve(const char *prefix, const struct bucket *with) {
    static char said[FAULT_TEXT_MAX + 32];
    static char name[] = "bucket";
    struct fault fault = {0};
    struct source *source = NULL;
    bucket = *with;
    char *copy = strdup(prefix);
    assert_non_null(copy);
    struct config config = {.scheme = CONFIG_S3, .bucket = name, .prefix = copy};
    int err = source_resolve(&config, fake_new, &source, &fault);
    if (err)
        snprintf(said, sizeof said, "error %d: %s", -err, fault.text);
    else
        snprintf(said, sizeof said, "%s", source->prefix);
    assert_int_equal(source == NULL, err != 0);
    source_free(source);
    free(copy);
    assert_int_equal(bucket.made, bucket.freed);
    return said;
}

static void test_form_with_hours(void **state) {
    (void)state;
    const struct bucket folder = {.keys = {"macie/2026/11/24/05/x", "other/2026/01/01/00/x"}};
    assert_string_equal(resolve("macie", &folder), "macie/");
    assert_string_equal(resolve("macie/", &folder), "macie/");
    const struct bucket bare = {.keys = {"macie2026/11/24/05/x"}};
    assert_string_equal(resolve("macie", &bare), "macie");
    assert_string_equal(resolve("macie/", &bare), "macie");
    const struct bucket both = {.keys = {"macie/2026/11/24/05/x", "macie2026/11/24/05/x"}};
    assert_string_equal(resolve("macie", &both), "macie/");
    assert_string_equal(resolve("macie/", &both), "macie/");
    const struct bucket marker = {.keys = {"macie/", "macie2026/11/24/05/x"}};
    assert_string_equal(resolve("macie", &marker), "macie");
    const struct bucket deep = {.keys = {"a/b/2026/11/24/05/x"}};
    assert_string_equal(resolve("a/b", &deep), "a/b/");
}

static void test_form_without_hours(void **state) {
    (void)state;
    const struct bucket marker = {.keys = {"macie/"}};
    assert_string_equal(resolve("macie", &marker), "macie/");
    assert_string_equal(resolve("macie/", &marker), "macie/");
    const struct bucket failed = {.keys = {"macie/processing-failed/2026/11/24/05/x"}};
    assert_string_equal(resolve("macie", &failed), "macie/");
    const struct bucket numbers = {.keys = {"macie/20261/x", "macie/0000/x", "macie/abcd/x"}};
    assert_string_equal(resolve("macie", &numbers), "macie/");
}

static void test_hours_behind_much_else(void **state) {
    (void)state;
    const struct bucket much = {
        .keys = {"macie/!1", "macie/!2", "macie/!3", "macie/!4", "macie/2026/11/24/05/x"}};
    assert_string_equal(resolve("macie", &much), "macie/");
    const struct bucket bare = {
        .keys = {"macie!1", "macie!2", "macie!3", "macie!4", "macie/x", "macie2026/11/24/05/x"}};
    assert_string_equal(resolve("macie", &bare), "macie");
}

static void test_nothing_there(void **state) {
    (void)state;
    const struct bucket empty = {0};
    assert_string_equal(resolve("", &empty), "");
    const char *said = resolve("macie", &empty);
    assert_memory_equal(said, "error 2: nothing is under s3://bucket/macie", 43);
    assert_non_null(strstr(said, "the prefix that Firehose writes to"));
    const struct bucket slip = {.keys = {"macie/2026/11/24/05/x"}};
    said = resolve("maci", &slip);
    assert_memory_equal(said, "error 2: ", 9);
    assert_non_null(strstr(said, "s3://bucket/macie/"));
    assert_memory_equal(resolve("other", &slip), "error 2: ", 9);
}

static void test_forms_that_are_denied(void **state) {
    (void)state;
    const struct bucket hours = {.keys = {"macie/2026/11/24/05/x"}, .denied = "macie"};
    assert_string_equal(resolve("macie", &hours), "macie/");
    const struct bucket marker = {.keys = {"macie/"}, .denied = "macie"};
    assert_string_equal(resolve("macie", &marker), "macie/");
    const struct bucket empty = {.denied = "macie"};
    assert_string_equal(resolve("macie", &empty), "error 13: denied");
    const struct bucket folder = {.denied = "macie/"};
    assert_string_equal(resolve("macie", &folder), "error 13: denied");
    const struct bucket whole = {.denied = ""};
    assert_string_equal(resolve("", &whole), "error 13: denied");
}

#define ON_DISK(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        ON_DISK(test_empty),
        ON_DISK(test_order_of_whole_paths),
        ON_DISK(test_random_trees),
        ON_DISK(test_folder_of_many_files),
        ON_DISK(test_what_an_object_is),
        ON_DISK(test_only_settled_regular_files),
        ON_DISK(test_folder_of_unsettled_files),
        ON_DISK(test_paths_too_long_are_counted),
        ON_DISK(test_unreadable_folder_is_named),
        ON_DISK(test_get),
        ON_DISK(test_get_what_is_no_longer_so),
        ON_DISK(test_get_never_leaves_the_folder),
        ON_DISK(test_stop),
        ON_DISK(test_folder_that_is_not_there),
        cmocka_unit_test(test_page_is_bounded),
        cmocka_unit_test(test_page_skips_what_is_no_key),
        cmocka_unit_test(test_form_with_hours),
        cmocka_unit_test(test_form_without_hours),
        cmocka_unit_test(test_hours_behind_much_else),
        cmocka_unit_test(test_nothing_there),
        cmocka_unit_test(test_forms_that_are_denied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
