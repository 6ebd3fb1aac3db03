/* The logs on the disk: what was readable stays so, whatever breaks off in between. */
#include "store_kit.h"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>

#define OTHER hour_pack(2021, 11, 24, 6)

static struct disk disk;

static int begin(void **state) {
    (void)state;
    disk_begin(&disk);
    return 0;
}

static int end(void **state) {
    (void)state;
    disk_end(&disk);
    return 0;
}

/* -- Growing ----------------------------------------------------------------------------------- */

static void nothing_is_known_at_first(void **state) {
    (void)state;
    char byte;
    struct log_state log = disk_state(&disk, HOUR);
    assert_false(log.known);
    assert_true(log.present);
    assert_int_equal(log.size + log.readable, 0);
    assert_int_equal(log.modified + log.refreshed, 0);
    assert_int_equal(store_read(disk.store, HOUR, 0, &byte, 1), 0);
    assert_int_equal(store_commit(disk.store, HOUR), 0);
    store_rollback(disk.store, HOUR);
    store_forget(disk.store, HOUR);
    assert_int_equal(disk_file_size(&disk, HOUR, "journal"), -ENOENT);
    assert_int_equal(disk_file_size(&disk, HOUR, "ndjson"), -ENOENT);
}

static void what_is_committed_can_be_read(void **state) {
    (void)state;
    assert_int_equal(disk_write(&disk, HOUR, "a", "{\"a\":1}\n"), 0);
    assert_int_equal(disk_write(&disk, HOUR, "b", "{\"b\":2}\n{\"b\":3}\n"), 0);
    assert_int_equal(disk_state(&disk, HOUR).size, 0);
    assert_log(&disk, HOUR, "");
    assert_int_equal(store_commit(disk.store, HOUR), 0);
    assert_log(&disk, HOUR, "{\"a\":1}\n{\"b\":2}\n{\"b\":3}\n");
    disk_append(&disk, HOUR, "c", "{\"c\":4}\n");
    assert_log(&disk, HOUR, "{\"a\":1}\n{\"b\":2}\n{\"b\":3}\n{\"c\":4}\n");
    assert_int_equal(disk_state(&disk, HOUR).size, 32);
    assert_int_equal(disk.counters.objects, 3);
    assert_int_equal(disk.counters.events, 4);
    assert_int_equal(disk.counters.log_bytes, 32);
    assert_int_equal(disk.counters.cache_bytes_now, 32);
    assert_int_equal(disk.counters.late, 3);
    disk_again(&disk);
    assert_log(&disk, HOUR, "{\"a\":1}\n{\"b\":2}\n{\"b\":3}\n{\"c\":4}\n");
}

static void reads_end_at_the_committed_bytes(void **state) {
    (void)state;
    char at[16];
    disk_append(&disk, HOUR, "a", "{\"a\":1}\n");
    assert_int_equal(disk_write(&disk, HOUR, "b", "{\"b\":2}\n"), 0);
    assert_int_equal(store_read(disk.store, HOUR, 5, at, sizeof at), 3);
    assert_memory_equal(at, "1}\n", 3);
    assert_int_equal(store_read(disk.store, HOUR, 8, at, sizeof at), 0);
    assert_int_equal(store_read(disk.store, HOUR, UINT64_MAX, at, sizeof at), 0);
    assert_int_equal(store_read(disk.store, HOUR, 0, at, 0), 0);
}

static void a_rollback_takes_back_what_was_written(void **state) {
    (void)state;
    disk_append(&disk, HOUR, "a", "{\"a\":1}\n");
    assert_int_equal(disk_write(&disk, HOUR, "b", "{\"b\":2}\n"), 0);
    store_rollback(disk.store, HOUR);
    assert_int_equal(disk_file_size(&disk, HOUR, "ndjson"), 8);
    assert_int_equal(store_commit(disk.store, HOUR), 0);
    assert_log(&disk, HOUR, "{\"a\":1}\n");
    struct object object = object_of("b", MODIFIED, "e");
    assert_int_equal(store_has(disk.store, HOUR, &object), STORE_NEW);
    disk_append(&disk, HOUR, "c", "{\"c\":2}\n");
    assert_log(&disk, HOUR, "{\"a\":1}\n{\"c\":2}\n");
}

static void the_end_takes_back_what_was_written(void **state) {
    (void)state;
    assert_int_equal(disk_write(&disk, HOUR, "b", "{\"b\":2}\n"), 0);
    disk_again(&disk);
    assert_log(&disk, HOUR, "");
    assert_int_equal(disk_file_size(&disk, HOUR, "ndjson"), 0);
}

static void an_object_without_lines_is_known(void **state) {
    (void)state;
    struct object object = object_of("empty", MODIFIED, "e");
    disk_append(&disk, HOUR, "empty", "");
    for (int i = 0; i < 2; i++) {
        struct log_state log = disk_state(&disk, HOUR);
        assert_true(log.known && log.present);
        assert_int_equal(log.size, 0);
        assert_int_equal(store_has(disk.store, HOUR, &object), STORE_SAME);
        disk_again(&disk);
    }
    disk_append(&disk, HOUR, "a", "{\"a\":1}\n");
    assert_log(&disk, HOUR, "{\"a\":1}\n");
}

static void modified_never_goes_back(void **state) {
    (void)state;
    static const int64_t times[] = {MODIFIED, MODIFIED + 5, MODIFIED - 5};
    for (size_t i = 0; i < 3; i++) {
        char key[] = {(char)('a' + i), '\0'};
        struct object object = object_of(key, times[i], "e");
        struct spool spool = spool_of(&disk, "{}\n");
        assert_int_equal(store_write(disk.store, HOUR, &object, &spool, NULL, i == 1), 0);
        assert_int_equal(store_commit(disk.store, HOUR), 0);
        spool_free(&spool);
    }
    assert_int_equal(disk_state(&disk, HOUR).modified, MODIFIED + 5);
    disk_again(&disk);
    assert_int_equal(disk_state(&disk, HOUR).modified, MODIFIED + 5);
    assert_int_equal(disk.counters.damaged, 1);
    assert_int_equal(disk.counters.late, 2);
}

static void an_overwritten_object_is_told_once(void **state) {
    (void)state;
    struct object same = object_of("a", MODIFIED, "e"), other = object_of("a", MODIFIED, "f");
    struct object unknown = object_of("b", MODIFIED, "e");
    disk_append(&disk, HOUR, "a", "{}\n");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(store_has(disk.store, HOUR, &same), STORE_SAME);
        assert_int_equal(store_has(disk.store, HOUR, &unknown), STORE_NEW);
        store_forget(disk.store, HOUR);
    }
    assert_int_equal(store_has(disk.store, HOUR, &other), STORE_OVERWRITTEN);
    assert_int_equal(store_has(disk.store, HOUR, &other), STORE_SAME);
    store_forget(disk.store, HOUR);
    assert_int_equal(store_has(disk.store, HOUR, &other), STORE_SAME);
}

static void many_keys_are_told_apart(void **state) {
    (void)state;
    char key[16];
    for (int i = 0; i < 2000; i += 2) {
        snprintf(key, sizeof key, "%d", i);
        assert_int_equal(disk_write(&disk, HOUR, key, "{}\n"), 0);
    }
    struct object zero = object_of("0", MODIFIED, "e");
    assert_int_equal(store_has(disk.store, HOUR, &zero), STORE_NEW);
    assert_int_equal(store_commit(disk.store, HOUR), 0);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 2000; i++) {
            snprintf(key, sizeof key, "%d", i);
            struct object object = object_of(key, MODIFIED, "e");
            assert_int_equal(store_has(disk.store, HOUR, &object), i % 2 ? STORE_NEW : STORE_SAME);
        }
        disk_again(&disk);
    }
}

static void children_are_the_hours_with_a_journal(void **state) {
    (void)state;
    struct children children = {0};
    hour_t hour, folder = hour_pack(2021, 11, 24, 0);
    disk_append(&disk, HOUR, "a", "{}\n");
    disk_append(&disk, hour_pack(2021, 11, 24, 23), "a", "{}\n");
    disk_append(&disk, hour_pack(1999, 1, 2, 0), "a", "{}\n");
    assert_int_equal(mkdirat(disk.folder, "2021/11/24/xx.journal", 0700), 0);
    assert_int_equal(store_children(disk.store, folder, 3, &children), 0);
    assert_int_equal(children.mask, 1u << 5 | 1u << 23);
    children.mask = 0;
    assert_int_equal(store_children(disk.store, hour_pack(2021, 0, 0, 0), 1, &children), 0);
    assert_int_equal(children.mask, 1u << 11);
    children.mask = 0;
    assert_int_equal(store_children(disk.store, hour_pack(2022, 0, 0, 0), 1, &children), 0);
    assert_int_equal(children.mask, 0);
    assert_int_equal(store_children(disk.store, 0, 0, &children), 0);
    assert_int_equal(children.year_count, 2);
    assert_true(children_at(&children, 0, 0, 0, &hour));
    assert_int_equal(hour_year(hour), 1999);
    children_free(&children);
}

/* -- What a crash leaves ----------------------------------------------------------------------- */

static void bytes_behind_the_journal_are_cut_off(void **state) {
    (void)state;
    disk_append(&disk, HOUR, "a", "{\"a\":1}\n");
    store_free(disk.store);
    int fd = openat(disk.folder, disk_file(HOUR, "ndjson"), O_WRONLY | O_APPEND);
    assert_int_equal(write(fd, "{\"torn", 6), 6);
    close(fd);
    disk_open_store(&disk);
    assert_log(&disk, HOUR, "{\"a\":1}\n");
    assert_int_equal(disk_file_size(&disk, HOUR, "ndjson"), 8);
    disk_append(&disk, HOUR, "b", "{}\n");
    assert_log(&disk, HOUR, "{\"a\":1}\n{}\n");
}

/* The journal is cut anywhere within its last line: that object never was. */
static void a_torn_journal_ends_before_its_last_line(void **state) {
    (void)state;
    disk_append(&disk, HOUR, "a", "{\"a\":1}\n");
    int64_t whole = disk_file_size(&disk, HOUR, "journal");
    disk_append(&disk, HOUR, "b", "{\"b\":2}\n");
    int64_t all = disk_file_size(&disk, HOUR, "journal");
    for (int64_t cut = all - 1; cut >= whole; cut -= 7) {
        store_free(disk.store);
        disk_cut(&disk, HOUR, "journal", cut);
        disk_open_store(&disk);
        assert_log(&disk, HOUR, "{\"a\":1}\n");
        assert_int_equal(disk_file_size(&disk, HOUR, "journal"), whole);
        disk_append(&disk, HOUR, "b", "{\"b\":2}\n");
        assert_log(&disk, HOUR, "{\"a\":1}\n{\"b\":2}\n");
        assert_int_equal(disk_file_size(&disk, HOUR, "journal"), all);
    }
}

static void a_journal_of_another_hour_is_none(void **state) {
    (void)state;
    disk_append(&disk, HOUR, "a", "{\"a\":1}\n");
    store_free(disk.store);
    disk_patch(&disk, HOUR, "journal", (off_t)strlen("maciefs-journal 1 2021/11/24/0"), "9");
    disk_open_store(&disk);
    assert_false(disk_state(&disk, HOUR).known);
    assert_log(&disk, HOUR, "");
    disk_append(&disk, HOUR, "b", "{}\n");
    disk_again(&disk);
    assert_log(&disk, HOUR, "{}\n");
}

static void data_that_is_missing_or_short_is_absent(void **state) {
    (void)state;
    char at[8];
    for (int i = 0; i < 2; i++) {
        hour_t hour = i ? OTHER : HOUR;
        disk_append(&disk, hour, "a", "{\"a\":1}\n");
        store_free(disk.store);
        if (i)
            disk_cut(&disk, hour, "ndjson", 7);
        else
            unlinkat(disk.folder, disk_file(hour, "ndjson"), 0);
        disk_open_store(&disk);
        struct log_state log = disk_state(&disk, hour);
        assert_true(log.known);
        assert_false(log.present);
        assert_int_equal(log.size, 8);
        assert_int_equal(store_read(disk.store, hour, 0, at, sizeof at), -ENODATA);
        assert_int_equal(disk_write(&disk, hour, "b", "{}\n"), -ENODATA);
        assert_int_equal(store_commit(disk.store, hour), 0);
        assert_int_equal(disk_file_size(&disk, hour, "ndjson"), -ENOENT);
    }
}

/* Someone takes the data away under a running server: no hole may come in its place. */
static void data_taken_away_gets_no_hole(void **state) {
    (void)state;
    char at[8];
    disk_append(&disk, HOUR, "a", "{\"a\":1}\n");
    unlinkat(disk.folder, disk_file(HOUR, "ndjson"), 0);
    assert_int_equal(disk_write(&disk, HOUR, "b", "{}\n"), -ENODATA);
    assert_int_equal(disk_file_size(&disk, HOUR, "ndjson"), -ENOENT);
    assert_int_equal(store_read(disk.store, HOUR, 0, at, sizeof at), -ENODATA);

    disk_append(&disk, OTHER, "a", "{\"a\":1}\n");
    assert_int_equal(disk_write(&disk, OTHER, "b", "{}\n"), 0);
    unlinkat(disk.folder, disk_file(OTHER, "ndjson"), 0);
    assert_int_equal(store_commit(disk.store, OTHER), -ENODATA);
    assert_int_equal(store_commit(disk.store, OTHER), 0);
    disk_again(&disk);
    assert_int_equal(disk_state(&disk, OTHER).size, 8);
}

/* -- Publishing -------------------------------------------------------------------------------- */

struct drops {
    unsigned count;
    hour_t hour;
    uint64_t offset;
    uint64_t size, readable; /* when the pages were dropped */
};

static void note_drop(void *ctx, hour_t hour, uint64_t offset) {
    struct drops *drops = ctx;
    struct log_state log = disk_state(&disk, hour);
    *drops = (struct drops){drops->count + 1, hour, offset, log.size, log.readable};
}

static void pages_are_dropped_before_growth_is_announced(void **state) {
    (void)state;
    struct drops drops = {0};
    char *text = malloc(100001);
    assert_non_null(text);
    memset(text, 'x', 100000);
    memcpy(text + 99999, "\n", 2);
    disk.options.drop_pages = note_drop;
    disk.options.ctx = &drops;
    disk_again(&disk);
    disk_append(&disk, HOUR, "a", text);
    assert_int_equal(drops.count, 0); /* it was empty */
    disk_append(&disk, HOUR, "b", text);
    assert_int_equal(drops.count, 1);
    assert_int_equal(drops.hour, HOUR);
    assert_int_equal(drops.offset, 65536);
    assert_int_equal(drops.size, 100000);
    assert_int_equal(drops.readable, 200000);
    assert_int_equal(disk_state(&disk, HOUR).size, 200000);
    for (size_t i = 0; i < STORE_PUBLISHING_MAX; i++)
        assert_int_equal(disk.publishing.at[i].hour, 0);
    free(text);
}

/* A server died between its commit and the announcement. */
static void what_was_not_announced_is_so_later(void **state) {
    (void)state;
    struct drops drops = {0};
    disk_append(&disk, HOUR, "a", "{\"a\":1}\n");
    disk_append(&disk, HOUR, "b", "{\"b\":2}\n");
    store_free(disk.store);
    disk.publishing.at[3].hour = HOUR;
    disk.publishing.at[3].announced = 8;
    disk.options.drop_pages = note_drop;
    disk.options.ctx = &drops;
    disk_open_store(&disk);
    assert_int_equal(disk_state(&disk, HOUR).size, 8);
    assert_int_equal(disk_state(&disk, HOUR).readable, 16);
    store_publish_rest(disk.store);
    assert_int_equal(drops.count, 1);
    assert_int_equal(drops.size, 8);
    assert_int_equal(disk_state(&disk, HOUR).size, 16);
    assert_int_equal(disk.publishing.at[3].hour, 0);
    store_publish_rest(disk.store);
    assert_int_equal(drops.count, 1);
}

/* The new server commits more before it comes to what the old one left, and dies, too. */
static void growth_meanwhile_is_never_taken_back(void **state) {
    (void)state;
    disk_append(&disk, HOUR, "a", "{\"a\":1}\n");
    disk_append(&disk, HOUR, "b", "{\"b\":2}\n");
    store_free(disk.store);
    disk.publishing.at[3].hour = HOUR;
    disk.publishing.at[3].announced = 8;
    disk_open_store(&disk);
    disk_append(&disk, HOUR, "c", "{\"c\":3}\n");
    assert_int_equal(disk_state(&disk, HOUR).size, 24);
    disk_again(&disk);
    assert_int_equal(disk_state(&disk, HOUR).size, 24);
    store_publish_rest(disk.store);
    assert_int_equal(disk_state(&disk, HOUR).size, 24);
}

/* Publishing what was left meets a commit that is under way. */
static void commit_within(void *ctx, hour_t hour, uint64_t offset) {
    int *depth = ctx;
    (void)offset;
    if ((*depth)++ == 0) {
        disk_append(&disk, hour, "c", "{\"c\":3}\n");
        assert_int_equal(disk_state(&disk, hour).size, 24);
    }
}

static void a_commit_overtakes_the_rest(void **state) {
    (void)state;
    int depth = 0;
    disk_append(&disk, HOUR, "a", "{\"a\":1}\n");
    disk_append(&disk, HOUR, "b", "{\"b\":2}\n");
    store_free(disk.store);
    disk.publishing.at[0].hour = HOUR;
    disk.publishing.at[0].announced = 8;
    disk.options.drop_pages = commit_within;
    disk.options.ctx = &depth;
    disk_open_store(&disk);
    store_publish_rest(disk.store);
    assert_int_equal(depth, 2);
    assert_int_equal(disk_state(&disk, HOUR).size, 24);
}

static void a_claim_past_the_end_of_the_log_is_none(void **state) {
    (void)state;
    disk_append(&disk, HOUR, "a", "{\"a\":1}\n");
    store_free(disk.store);
    disk.publishing.at[0].hour = HOUR;
    disk.publishing.at[0].announced = 1000;
    disk_open_store(&disk);
    assert_int_equal(disk_state(&disk, HOUR).size, 8);
}

/* -- No room ----------------------------------------------------------------------------------- */

static struct rlimit limit_before;

static void limit_files(uint64_t size) {
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &limit_before);
    const struct rlimit limit = {size, limit_before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void unlimit_files(void) {
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit_before), 0);
}

static void an_object_without_room_is_not_taken(void **state) {
    (void)state;
    char text[3001];
    memset(text, 'x', sizeof text);
    memcpy(text + 2999, "\n", 2);
    disk_append(&disk, HOUR, "a", "{\"a\":1}\n");
    assert_int_equal(disk_write(&disk, HOUR, "b", "{\"b\":2}\n"), 0);
    limit_files(2000);
    assert_int_equal(disk_write(&disk, HOUR, "c", text), -EFBIG);
    unlimit_files();
    assert_int_equal(store_commit(disk.store, HOUR), 0);
    assert_log(&disk, HOUR, "{\"a\":1}\n{\"b\":2}\n");
    disk_again(&disk);
    assert_log(&disk, HOUR, "{\"a\":1}\n{\"b\":2}\n");
}

/* The lines fit, the journal's do not: wherever it breaks off, the commit is undone. */
static void a_commit_without_room_is_undone(void **state) {
    (void)state;
    disk_append(&disk, HOUR, "a", "{\"a\":1}\n");
    int64_t before = disk_file_size(&disk, HOUR, "journal");
    for (int64_t room = before; room < before + 40; room += 13) {
        assert_int_equal(disk_write(&disk, HOUR, "b", "{\"b\":2}\n"), 0);
        limit_files((uint64_t)room);
        assert_int_equal(store_commit(disk.store, HOUR), -EFBIG);
        unlimit_files();
        assert_log(&disk, HOUR, "{\"a\":1}\n");
        assert_int_equal(disk_file_size(&disk, HOUR, "journal"), before);
        assert_int_equal(disk_file_size(&disk, HOUR, "ndjson"), 8);
        for (size_t i = 0; i < STORE_PUBLISHING_MAX; i++)
            assert_int_equal(disk.publishing.at[i].hour, 0);
    }
    assert_int_equal(disk.counters.objects, 1);
    disk_append(&disk, HOUR, "b", "{\"b\":2}\n");
    disk_again(&disk);
    assert_log(&disk, HOUR, "{\"a\":1}\n{\"b\":2}\n");
}

/* -- Eviction ---------------------------------------------------------------------------------- */

static void set_used(hour_t hour, time_t when) {
    const struct timespec times[2] = {{.tv_sec = when}, {.tv_nsec = UTIME_OMIT}};
    assert_int_equal(utimensat(disk.folder, disk_file(hour, "ndjson"), times, 0), 0);
}

static bool is_present(hour_t hour) {
    return disk_state(&disk, hour).present;
}

/* Five hours of 1000 bytes each, used in the order 2, 4, 1, 0, 3. */
static void fill_hours(void) {
    static const int order[] = {2, 4, 1, 0, 3};
    char text[1001];
    memset(text, 'x', sizeof text);
    memcpy(text + 999, "\n", 2);
    for (int i = 0; i < 5; i++)
        disk_append(&disk, hour_add(HOUR, i), "a", text);
    for (int i = 0; i < 5; i++)
        set_used(hour_add(HOUR, order[i]), 1000000 + i);
    disk.counters.cache_bytes_now = 0;
    assert_int_equal(store_measure(disk.store), 0);
}

static void small_caches_are_left_alone(void **state) {
    (void)state;
    fill_hours();
    assert_true(disk.counters.cache_bytes_now > 5000);
    assert_int_equal(store_evict(disk.store, hour_add(HOUR, 5)), 0);
    assert_int_equal(disk.counters.evicted, 0);
}

static void the_least_recently_used_go_first(void **state) {
    (void)state;
    fill_hours();
    uint64_t rest = disk.counters.cache_bytes_now - 5000; /* journals and the source's name */
    store_free(disk.store);
    disk.options.size = (rest + 3000) * 10 / 9 + 10;
    disk_open_store(&disk);
    assert_int_equal(store_evict(disk.store, hour_add(HOUR, 5)), 2);
    assert_false(is_present(hour_add(HOUR, 2)));
    assert_false(is_present(hour_add(HOUR, 4)));
    assert_true(is_present(HOUR) && is_present(hour_add(HOUR, 1)) && is_present(hour_add(HOUR, 3)));
    assert_int_equal(disk.counters.evicted, 2);
    assert_int_equal(disk.counters.cache_bytes_now, rest + 3000);
    assert_int_equal(disk_state(&disk, hour_add(HOUR, 2)).size, 1000);
    assert_true(disk_state(&disk, hour_add(HOUR, 2)).known);
    char at[8];
    assert_int_equal(store_read(disk.store, hour_add(HOUR, 4), 0, at, sizeof at), -ENODATA);
    assert_int_equal(store_evict(disk.store, hour_add(HOUR, 5)), 0);
}

static void watched_hours_and_writers_are_spared(void **state) {
    (void)state;
    fill_hours();
    store_free(disk.store);
    disk.options.size = 1;
    disk_open_store(&disk);
    assert_int_equal(disk_write(&disk, hour_add(HOUR, 1), "b", "{}\n"), 0);
    assert_int_equal(store_evict(disk.store, hour_add(HOUR, 3)), 2);
    assert_true(is_present(hour_add(HOUR, 1)) && is_present(hour_add(HOUR, 3)));
    assert_false(is_present(HOUR) || is_present(hour_add(HOUR, 2)));
    assert_int_equal(store_commit(disk.store, hour_add(HOUR, 1)), 0);
    assert_int_equal(disk_state(&disk, hour_add(HOUR, 1)).readable, 1003);
}

/* A crash, or somebody's `rm`, may have left a count that is not that of the folder. */
static void a_wrong_count_is_set_right(void **state) {
    (void)state;
    fill_hours();
    uint64_t right = disk.counters.cache_bytes_now;
    disk.counters.cache_bytes_now = disk.options.size + 1;
    assert_int_equal(store_evict(disk.store, hour_add(HOUR, 5)), 0);
    assert_int_equal(disk.counters.cache_bytes_now, right);
}

/* Someone cut the file: no reader gets less than what was committed, as it is not its end. */
static void data_that_was_cut_is_not_there(void **state) {
    (void)state;
    char at[8];
    disk_append(&disk, HOUR, "a", "{\"a\":1}\n");
    disk_cut(&disk, HOUR, "ndjson", 5);
    assert_int_equal(store_read(disk.store, HOUR, 0, at, sizeof at), -ENODATA);
    assert_false(disk_state(&disk, HOUR).present);
}

static void discarded_data_leaves_the_journal(void **state) {
    (void)state;
    char byte;
    struct object object = object_of("a", MODIFIED, "e");
    disk_append(&disk, HOUR, "a", "{\"a\":1}\n");
    assert_int_equal(store_discard(disk.store, HOUR), 0);
    assert_int_equal(store_discard(disk.store, HOUR), 0);
    for (int i = 0; i < 2; i++, disk_again(&disk)) {
        assert_int_equal(disk_file_size(&disk, HOUR, "ndjson"), -ENOENT);
        assert_int_equal(store_read(disk.store, HOUR, 0, &byte, 1), -ENODATA);
        assert_int_equal(store_has(disk.store, HOUR, &object), STORE_SAME);
    }
    assert_int_equal(disk.counters.cache_bytes_now, 0);
}

static void a_removed_log_has_never_been(void **state) {
    (void)state;
    struct object object = object_of("a", MODIFIED, "e");
    disk_append(&disk, HOUR, "a", "{\"a\":1}\n");
    assert_int_equal(store_has(disk.store, HOUR, &object), STORE_SAME);
    assert_int_equal(store_remove(disk.store, HOUR), 0);
    assert_int_equal(store_remove(disk.store, OTHER), 0);
    assert_int_equal(disk_file_size(&disk, HOUR, "journal"), -ENOENT);
    assert_false(disk_state(&disk, HOUR).known);
    assert_int_equal(store_has(disk.store, HOUR, &object), STORE_NEW);
    disk_append(&disk, HOUR, "b", "{\"b\":2}\n");
    assert_log(&disk, HOUR, "{\"b\":2}\n");
    disk_again(&disk);
    assert_log(&disk, HOUR, "{\"b\":2}\n");
}

/* An hour that was never committed leaves an empty file; without it, it is as new. */
static void an_evicted_hour_without_bytes_can_grow(void **state) {
    (void)state;
    assert_int_equal(disk_write(&disk, HOUR, "a", "{}\n"), 0);
    store_rollback(disk.store, HOUR);
    assert_int_equal(disk_file_size(&disk, HOUR, "ndjson"), 0);
    disk_append(&disk, OTHER, "a", "{}\n");
    store_free(disk.store);
    disk.options.size = 1;
    disk_open_store(&disk);
    store_evict(disk.store, hour_add(HOUR, 5));
    assert_int_equal(disk_file_size(&disk, HOUR, "ndjson"), -ENOENT);
    disk_append(&disk, HOUR, "a", "{\"a\":1}\n");
    assert_log(&disk, HOUR, "{\"a\":1}\n");
}

static void reading_counts_as_use(void **state) {
    (void)state;
    char byte;
    fill_hours();
    uint64_t rest = disk.counters.cache_bytes_now - 5000;
    store_free(disk.store);
    disk.options.size = (rest + 4000) * 10 / 9 + 10;
    disk_open_store(&disk);
    assert_int_equal(store_read(disk.store, hour_add(HOUR, 2), 0, &byte, 1), 1);
    assert_int_equal(store_evict(disk.store, hour_add(HOUR, 5)), 1);
    assert_true(is_present(hour_add(HOUR, 2)));
    assert_false(is_present(hour_add(HOUR, 4)));
}

/* -- Restoring --------------------------------------------------------------------------------- */

struct entries {
    struct journal_entry at[4];
    size_t count;
};

static int keep_entry(void *ctx, const struct journal_entry *entry) {
    struct entries *entries = ctx;
    assert_true(entries->count < 4);
    entries->at[entries->count++] = *entry;
    return 0;
}

static const char *const lines[] = {"{\"a\":1}\n", "{\"b\":2}\n{\"b\":3}\n", "{\"c\":4}\n"};

/* An hour of three objects, whose data is gone. */
static struct entries evict_hour(void) {
    static const char *const keys[] = {"a", "b", "c"};
    struct entries entries = {.count = 0};
    for (size_t i = 0; i < 3; i++)
        disk_append(&disk, HOUR, keys[i], lines[i]);
    unlinkat(disk.folder, disk_file(HOUR, "ndjson"), 0);
    disk.counters.cache_bytes_now = 0;
    disk_again(&disk);
    assert_int_equal(store_restore_visit(disk.store, HOUR, keep_entry, &entries), 0);
    assert_int_equal(entries.count, 3);
    assert_string_equal(entries.at[1].key, "b");
    return entries;
}

static int put(const struct journal_entry *entry, const char *text) {
    struct spool spool = spool_of(&disk, text);
    int err = store_restore_put(disk.store, HOUR, entry, &spool, NULL);
    spool_free(&spool);
    return err;
}

static void evicted_data_comes_back_in_any_order(void **state) {
    (void)state;
    struct entries entries = evict_hour();
    assert_int_equal(store_restore_begin(disk.store, HOUR, false), 0);
    for (size_t i = 3; i-- > 0;) {
        assert_int_equal(put(&entries.at[i], lines[i]), 0);
        assert_false(is_present(HOUR));
    }
    assert_int_equal(store_restore_finish(disk.store, HOUR), 0);
    assert_log(&disk, HOUR, "{\"a\":1}\n{\"b\":2}\n{\"b\":3}\n{\"c\":4}\n");
    assert_int_equal(disk.counters.cache_bytes_now, 32);
    disk_append(&disk, HOUR, "d", "{}\n");
    disk_again(&disk);
    assert_log(&disk, HOUR, "{\"a\":1}\n{\"b\":2}\n{\"b\":3}\n{\"c\":4}\n{}\n");
}

static void other_bytes_do_not_come_back(void **state) {
    (void)state;
    struct entries entries = evict_hour();
    assert_int_equal(store_restore_begin(disk.store, HOUR, false), 0);
    assert_int_equal(put(&entries.at[0], "{\"a\":9}\n"), -ESTALE);
    assert_int_equal(put(&entries.at[0], "{\"a\":10}\n"), -ESTALE);
    assert_int_equal(put(&entries.at[0], ""), -ESTALE);
    store_restore_abandon(disk.store, HOUR);
    store_restore_abandon(disk.store, HOUR);
    assert_int_equal(put(&entries.at[0], lines[0]), -EBADF);
    assert_int_equal(store_restore_finish(disk.store, HOUR), -EBADF);
    assert_false(is_present(HOUR));
    assert_int_equal(disk_file_size(&disk, HOUR, "ndjson"), -ENOENT);
    assert_int_equal(disk_state(&disk, HOUR).size, 32);
}

static void a_restore_that_broke_off_leaves_nothing(void **state) {
    (void)state;
    struct entries entries = evict_hour();
    uint64_t before = disk.counters.cache_bytes_now;
    assert_int_equal(store_measure(disk.store), 0);
    before = disk.counters.cache_bytes_now;
    assert_int_equal(store_restore_begin(disk.store, HOUR, false), 0);
    assert_int_equal(put(&entries.at[0], lines[0]), 0);
    disk_again(&disk);
    assert_int_equal(store_measure(disk.store), 0);
    assert_int_equal(disk.counters.cache_bytes_now, before);
    assert_false(is_present(HOUR));
}

/* -- Single objects ---------------------------------------------------------------------------- */

static void put_blob(const struct object *object, const char *text) {
    int fd = blob_begin(disk.store);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(blob_finish(disk.store, fd, HOUR, object), 0);
}

static void blobs_are_whole_or_not_there(void **state) {
    (void)state;
    struct object object = object_of("2021/11/24/05/a", MODIFIED, "e"), other = object;
    char at[16];
    uint64_t size;
    memcpy(other.etag, "f", 2);
    assert_int_equal(blob_size(disk.store, HOUR, &object, &size), -ENODATA);
    assert_int_equal(disk_read_blob(&disk, HOUR, &object, 0, at, sizeof at), -ENODATA);
    int fd = blob_begin(disk.store);
    assert_int_equal(write(fd, "half", 4), 4);
    assert_int_equal(blob_size(disk.store, HOUR, &object, &size), -ENODATA);
    close(fd);
    put_blob(&object, "whole\n");
    assert_int_equal(blob_size(disk.store, HOUR, &object, &size), 0);
    assert_int_equal(size, 6);
    assert_int_equal(disk_read_blob(&disk, HOUR, &object, 2, at, sizeof at), 4);
    assert_memory_equal(at, "ole\n", 4);
    assert_int_equal(disk_read_blob(&disk, HOUR, &object, 6, at, sizeof at), 0);
    assert_int_equal(disk_read_blob(&disk, HOUR, &object, UINT64_MAX, at, sizeof at), 0);
    assert_int_equal(blob_size(disk.store, HOUR, &other, &size), -ENODATA);
    assert_int_equal(disk.counters.cache_bytes_now, 6);
    put_blob(&object, "whole\n");
    assert_int_equal(disk.counters.cache_bytes_now, 6);
}

static void blobs_are_evicted(void **state) {
    (void)state;
    struct object object = object_of("2021/11/24/05/a", MODIFIED, "e");
    uint64_t size;
    put_blob(&object, "whole\n");
    store_free(disk.store);
    disk.options.size = 1;
    disk_open_store(&disk);
    assert_int_equal(store_evict(disk.store, 1), 0);
    assert_int_equal(blob_size(disk.store, HOUR, &object, &size), -ENODATA);
    assert_int_equal(disk.counters.evicted, 0);
}

/* -- Threads ----------------------------------------------------------------------------------- */

static void *append_many(void *ctx) {
    hour_t hour = *(hour_t *)ctx;
    for (int i = 0; i < 20; i++) {
        char key[16];
        snprintf(key, sizeof key, "%d", i);
        disk_append(&disk, hour, key, "{\"a\":1}\n");
    }
    return NULL;
}

static void *read_many(void *ctx) {
    hour_t hour = *(hour_t *)ctx;
    uint64_t before = 0;
    for (char at[200]; before < 160;) {
        struct log_state log = disk_state(&disk, hour);
        assert_true(log.size >= before && log.readable >= log.size && log.size % 8 == 0);
        before = log.size;
        if (log.size) {
            assert_int_equal(store_read(disk.store, hour, log.size - 8, at, 8), 8);
            assert_memory_equal(at, "{\"a\":1}\n", 8);
        }
    }
    return NULL;
}

static void logs_grow_side_by_side(void **state) {
    (void)state;
    hour_t hours[4];
    pthread_t threads[8];
    for (int i = 0; i < 4; i++) {
        hours[i] = hour_add(HOUR, i);
        assert_int_equal(pthread_create(&threads[i], NULL, append_many, &hours[i]), 0);
        assert_int_equal(pthread_create(&threads[4 + i], NULL, read_many, &hours[i]), 0);
    }
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(disk.counters.objects, 80);
}

/* -- The folder -------------------------------------------------------------------------------- */

static void a_folder_has_one_user_and_one_source(void **state) {
    (void)state;
    struct fault fault;
    assert_int_equal(store_lock(disk.path, "s3://bucket/macie/", &fault), -EBUSY);
    assert_non_null(strstr(fault.text, disk.path));
    close(disk.folder);
    assert_int_equal(store_lock(disk.path, "s3://other/", &fault), -EEXIST);
    assert_non_null(strstr(fault.text, "s3://bucket/macie/"));
    disk.folder = store_lock(disk.path, "s3://bucket/macie/", &fault);
    assert_true(disk.folder >= 0);
    store_free(disk.store);
    disk_open_store(&disk);
}

static void look(const char *path, const char *source, struct store_place *ret) {
    struct fault fault;
    if (store_look(path, source, ret, &fault) < 0)
        fail_msg("%s", fault.text);
}

static void a_look_tells_who_uses_a_folder(void **state) {
    (void)state;
    struct store_place place;
    struct fault fault;
    look(disk.path, "s3://bucket/macie/", &place);
    assert_true(place.made);
    assert_true(place.locked);
    assert_string_equal(place.folder, disk.path);
    assert_int_equal(place.owner, geteuid());
    assert_int_equal(place.mode, 0700);
    assert_true(place.free > 0);
    store_place_free(&place);
    assert_int_equal(store_look(disk.path, "s3://other/", &place, &fault), -EEXIST);
    assert_non_null(strstr(fault.text, "s3://bucket/macie/"));
    look(disk.path, NULL, &place);
    store_place_free(&place);

    close(disk.folder);
    look(disk.path, NULL, &place);
    assert_false(place.locked);
    assert_int_equal(place.used, strlen("s3://bucket/macie/"));
    store_place_free(&place);
    disk.folder = store_lock(disk.path, "s3://bucket/macie/", &fault);
    assert_true(disk.folder >= 0);
    store_free(disk.store);
    disk_open_store(&disk);
}

static void a_look_makes_nothing(void **state) {
    (void)state;
    char path[128], other[160];
    struct store_place place;
    struct fault fault;
    snprintf(path, sizeof path, "%s/a/b/c", disk.path);
    look(path, "s3://bucket/", &place);
    assert_false(place.made);
    assert_false(place.locked);
    assert_string_equal(place.folder, disk.path);
    assert_int_equal(place.used, 0);
    store_place_free(&place);
    snprintf(path, sizeof path, "%s/a", disk.path);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(mkdir(path, 0700), 0);
    look(path, "s3://bucket/", &place);
    assert_true(place.made);
    store_place_free(&place);
    snprintf(other, sizeof other, "%s/source", path);
    assert_int_equal(access(other, F_OK), -1);
    snprintf(path, sizeof path, "%s/source/x", disk.path);
    assert_int_equal(store_look(path, NULL, &place, &fault), -ENOTDIR);
    assert_non_null(strstr(fault.text, path));
}

static void folders_are_made(void **state) {
    (void)state;
    char path[128];
    struct fault fault;
    snprintf(path, sizeof path, "%s/a/b/c", disk.path);
    int fd = store_lock(path, "s3://bucket/", &fault);
    assert_true(fd >= 0);
    close(fd);
    snprintf(path, sizeof path, "%s/source/x", disk.path);
    assert_int_equal(store_lock(path, "s3://bucket/", &fault), -ENOTDIR);
    assert_non_null(strstr(fault.text, path));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_known_at_first),
        TEST(what_is_committed_can_be_read),
        TEST(reads_end_at_the_committed_bytes),
        TEST(a_rollback_takes_back_what_was_written),
        TEST(the_end_takes_back_what_was_written),
        TEST(an_object_without_lines_is_known),
        TEST(modified_never_goes_back),
        TEST(an_overwritten_object_is_told_once),
        TEST(many_keys_are_told_apart),
        TEST(children_are_the_hours_with_a_journal),
        TEST(bytes_behind_the_journal_are_cut_off),
        TEST(a_torn_journal_ends_before_its_last_line),
        TEST(a_journal_of_another_hour_is_none),
        TEST(data_that_is_missing_or_short_is_absent),
        TEST(data_taken_away_gets_no_hole),
        TEST(pages_are_dropped_before_growth_is_announced),
        TEST(what_was_not_announced_is_so_later),
        TEST(growth_meanwhile_is_never_taken_back),
        TEST(a_commit_overtakes_the_rest),
        TEST(a_claim_past_the_end_of_the_log_is_none),
        TEST(an_object_without_room_is_not_taken),
        TEST(a_commit_without_room_is_undone),
        TEST(small_caches_are_left_alone),
        TEST(the_least_recently_used_go_first),
        TEST(watched_hours_and_writers_are_spared),
        TEST(a_wrong_count_is_set_right),
        TEST(data_that_was_cut_is_not_there),
        TEST(discarded_data_leaves_the_journal),
        TEST(a_removed_log_has_never_been),
        TEST(an_evicted_hour_without_bytes_can_grow),
        TEST(reading_counts_as_use),
        TEST(evicted_data_comes_back_in_any_order),
        TEST(other_bytes_do_not_come_back),
        TEST(a_restore_that_broke_off_leaves_nothing),
        TEST(blobs_are_whole_or_not_there),
        TEST(blobs_are_evicted),
        TEST(logs_grow_side_by_side),
        TEST(a_folder_has_one_user_and_one_source),
        TEST(folders_are_made),
        TEST(a_look_tells_who_uses_a_folder),
        TEST(a_look_makes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
