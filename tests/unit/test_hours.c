/* Logs brought up to date on demand: all of an hour, once, in order, whatever fails in between. */
#include "hours_kit.h"

static struct bench bench;

static int begin(void **state) {
    (void)state;
    bench_begin(&bench, 8, 0);
    return 0;
}

static int end(void **state) {
    (void)state;
    bench_end(&bench);
    return 0;
}

/* A reader in a thread of its own. */
struct reader {
    pthread_t thread;
    hour_t hour;
    bool data;
    struct patience patience;
    int result;
};

static void *wait_ready(void *ctx) {
    struct reader *reader = ctx;
    reader->result = hours_ready(bench.hours, reader->hour, reader->data, &reader->patience);
    return NULL;
}

static void reader_start(struct reader *reader, hour_t hour, bool data) {
    *reader = (struct reader){.hour = hour, .data = data};
    assert_int_equal(pthread_create(&reader->thread, NULL, wait_ready, reader), 0);
}

static int reader_join(struct reader *reader) {
    pthread_join(reader->thread, NULL);
    return reader->result;
}

/* -- All of an hour ---------------------------------------------------------------------------- */

static void an_hour_without_objects_is_empty(void **state) {
    (void)state;
    assert_int_equal(bench_ready(&bench, HOUR, true), 0);
    assert_false(disk_state(&bench.disk, HOUR).known);
    assert_string_equal(bench_log(&bench, HOUR), "");
    assert_int_equal(bench.source.gets, 0);
}

static void objects_come_in_the_order_of_their_time(void **state) {
    (void)state;
    bench_put(&bench, HOUR, "d", MODIFIED);
    bench_put(&bench, HOUR, "c", MODIFIED + 1);
    bench_put(&bench, HOUR, "b", MODIFIED + 1);
    bench_put(&bench, HOUR, "a", MODIFIED + 2);
    assert_int_equal(bench_ready(&bench, HOUR, true), 0);
    assert_string_equal(bench_log(&bench, HOUR), "d b c a");
    assert_int_equal(bench.disk.counters.objects, 4);
    assert_int_equal(bench.disk.counters.gets, 4);
    assert_int_equal(bench.disk.counters.late, 4);
    assert_int_equal(disk_state(&bench.disk, HOUR).modified, MODIFIED + 2);
    /* Nothing is fetched again, here or by the next server; what is new is appended. */
    bench_put(&bench, HOUR, "0", MODIFIED - 100);
    bench_again(&bench);
    assert_int_equal(bench_ready(&bench, HOUR, true), 0);
    assert_string_equal(bench_log(&bench, HOUR), "d b c a 0");
    assert_int_equal(bench.source.gets, 5);
}

static void fetches_that_end_in_reverse_change_nothing(void **state) {
    (void)state;
    struct reader reader;
    static const char *const names[] = {"a", "b", "c", "d", "e", "f"};
    for (size_t i = 0; i < 6; i++) {
        bench_put(&bench, HOUR, names[i], MODIFIED);
        scripted_set(&bench.source, key_of(HOUR, names[i]), 0, true);
    }
    reader_start(&reader, HOUR, true);
    for (size_t i = 6; i-- > 0;) {
        scripted_await_held(&bench.source, (unsigned)i + 1);
        scripted_set(&bench.source, key_of(HOUR, names[i]), 0, false);
    }
    assert_int_equal(reader_join(&reader), 0);
    assert_string_equal(bench_log(&bench, HOUR), "a b c d e f");
}

static void many_readers_fetch_once(void **state) {
    (void)state;
    struct reader readers[16];
    bench_put(&bench, HOUR, "a", MODIFIED);
    bench_put(&bench, HOUR, "b", MODIFIED);
    scripted_set(&bench.source, key_of(HOUR, "a"), 0, true);
    for (int i = 0; i < 16; i++)
        reader_start(&readers[i], HOUR, i % 2);
    scripted_await_held(&bench.source, 1);
    scripted_set(&bench.source, key_of(HOUR, "a"), 0, false);
    for (int i = 0; i < 16; i++)
        assert_int_equal(reader_join(&readers[i]), 0);
    assert_string_equal(bench_log(&bench, HOUR), "a b");
    assert_int_equal(bench.source.gets, 2);
}

static void the_second_under_way_is_held_back(void **state) {
    (void)state;
    bench_put(&bench, HOUR, "before", bench.source.now - 1);
    bench_put(&bench, HOUR, "now", bench.source.now);
    bench_put(&bench, HOUR, "ahead", bench.source.now + 1);
    bench_put(&bench, HOUR, "wrong", INT64_MAX);
    assert_int_equal(bench_ready(&bench, HOUR, true), 0);
    assert_string_equal(bench_log(&bench, HOUR), "before wrong");
    bench.source.now++;
    usleep(3000);
    assert_int_equal(bench_ready(&bench, HOUR, true), 0);
    assert_string_equal(bench_log(&bench, HOUR), "before wrong now");
    bench.source.now++;
    usleep(3000);
    assert_int_equal(bench_ready(&bench, HOUR, true), 0);
    assert_string_equal(bench_log(&bench, HOUR), "before wrong now ahead");
}

static void an_hour_is_listed_once_in_a_while(void **state) {
    (void)state;
    bench_end(&bench);
    bench_begin(&bench, 8, 3600000);
    bench_put(&bench, HOUR, "a", MODIFIED);
    for (int i = 0; i < 3; i++)
        assert_int_equal(bench_ready(&bench, HOUR, true), 0);
    assert_int_equal(bench.source.lists, 1);
    assert_true(disk_state(&bench.disk, HOUR).refreshed > 0);
    assert_true(disk_state(&bench.disk, HOUR).refreshed <= clock_ms());
}

static void put_hours(unsigned count) {
    for (unsigned i = 0; i < count; i++)
        for (int j = 0; j < 5; j++)
            bench_put(&bench, hour_add(HOUR, (int)i), (char[]){(char)('a' + j), '\0'}, MODIFIED);
}

static void many_hours_come_side_by_side(void **state) {
    (void)state;
    enum { HOURS = 24 };
    static const unsigned connections[] = {1, 8};
    for (size_t i = 0; i < 2; i++) {
        struct reader readers[HOURS];
        bench_end(&bench);
        bench_begin(&bench, connections[i], 0);
        put_hours(HOURS);
        for (int h = 0; h < HOURS; h++)
            reader_start(&readers[h], hour_add(HOUR, h), true);
        for (int h = 0; h < HOURS; h++)
            assert_int_equal(reader_join(&readers[h]), 0);
        for (int h = 0; h < HOURS; h++)
            assert_string_equal(bench_log(&bench, hour_add(HOUR, h)), "a b c d e");
        assert_int_equal(bench.source.gets, HOURS * 5);
        assert_true(bench.source.running_max <= connections[i]);
    }
}

static void more_objects_than_the_window_come_whole(void **state) {
    (void)state;
    char want[8192] = "";
    for (int i = 0; i < 500; i++) {
        char name[16];
        snprintf(name, sizeof name, "%04d", i);
        bench_put(&bench, HOUR, name, MODIFIED);
        size_t len = strlen(want);
        snprintf(want + len, sizeof want - len, "%s%s", i ? " " : "", name);
    }
    assert_int_equal(bench_ready(&bench, HOUR, true), 0);
    assert_string_equal(bench_log(&bench, HOUR), want);
    assert_int_equal(bench.source.gets, 500);
}

/* -- What is wrong with objects ---------------------------------------------------------------- */

static void an_object_that_is_refused_stops_no_other(void **state) {
    (void)state;
    static const int errs[] = {-EACCES, -EIO, -EPROTO, -EINVAL};
    for (size_t i = 0; i < sizeof errs / sizeof *errs; i++) {
        hour_t hour = hour_add(HOUR, (int)i);
        bench_put(&bench, hour, "a", MODIFIED);
        bench_put(&bench, hour, "b", MODIFIED);
        bench_put(&bench, hour, "c", MODIFIED);
        scripted_set(&bench.source, key_of(hour, "b"), errs[i], false);
        for (int round = 0; round < 2; round++) {
            assert_int_equal(bench_ready(&bench, hour, true), 0);
            assert_string_equal(bench_log(&bench, hour), "a c");
            usleep(3000);
        }
        assert_int_equal(told_times(key_of(hour, "b")), 1);
        scripted_set(&bench.source, key_of(hour, "b"), 0, false);
        assert_int_equal(bench_ready(&bench, hour, true), 0);
        assert_string_equal(bench_log(&bench, hour), "a c b");
    }
    assert_int_equal(bench.disk.counters.failures, 8);
    assert_int_equal(bench.disk.counters.offline_now, 0);
}

/* Such as a day of archived ones: the log tells of some, and how many more they are; once. */
static void many_that_are_refused_do_not_fill_the_log(void **state) {
    (void)state;
    enum { COUNT = 300 };
    for (int i = 0; i < COUNT; i++) {
        char name[16];
        snprintf(name, sizeof name, "%03d", i);
        bench_put(&bench, HOUR, name, MODIFIED);
        scripted_set(&bench.source, key_of(HOUR, name), -EACCES, false);
    }
    bench_put(&bench, HOUR, "good", MODIFIED);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(bench_ready(&bench, HOUR, true), 0);
        assert_string_equal(bench_log(&bench, HOUR), "good");
        usleep(3000);
    }
    assert_int_equal(told_times("\n"), 8 + 1);
    assert_int_equal(told_times("292 more objects of"), 1);
    assert_int_equal(bench.disk.counters.failures, 2 * COUNT);
}

static void an_object_that_is_gone_is_nobodys_fault(void **state) {
    (void)state;
    struct reader reader;
    bench_put(&bench, HOUR, "a", MODIFIED);
    bench_put(&bench, HOUR, "b", MODIFIED);
    scripted_set(&bench.source, key_of(HOUR, "a"), -ENOENT, false);
    scripted_set(&bench.source, key_of(HOUR, "b"), 0, true);
    reader_start(&reader, HOUR, true);
    scripted_await_held(&bench.source, 1);
    /* It is overwritten between its listing and its get. */
    scripted_put(&bench.source, key_of(HOUR, "b"), "{\"n\":\"b2\"}", MODIFIED + 1, "f");
    scripted_set(&bench.source, key_of(HOUR, "b"), 0, false);
    assert_int_equal(reader_join(&reader), 0);
    assert_string_equal(bench_log(&bench, HOUR), "");
    assert_int_equal(told.len, 0);
    usleep(3000);
    assert_int_equal(bench_ready(&bench, HOUR, true), 0);
    assert_string_equal(bench_log(&bench, HOUR), "b2");
}

/* A listing and a get that never agree, as of a server whose ETags are not its own. */
static void an_object_that_stays_away_is_told(void **state) {
    (void)state;
    bench_put(&bench, HOUR, "a", MODIFIED);
    scripted_set(&bench.source, key_of(HOUR, "a"), -ESTALE, false);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(bench_ready(&bench, HOUR, true), 0);
        assert_int_equal(told_times(key_of(HOUR, "a")), i > 0);
        assert_int_equal(bench.disk.counters.failures, i);
        usleep(3000);
    }
}

static void damage_is_told_once_and_keeps_what_was_whole(void **state) {
    (void)state;
    struct patience patience = {0};
    struct object object = object_of(key_of(HOUR, "b"), MODIFIED, "e");
    bench_put(&bench, HOUR, "a", MODIFIED);
    scripted_put(&bench.source, key_of(HOUR, "b"), "{\"n\":\"b\"}{\"n\":\"brok", MODIFIED, "e");
    bench_put(&bench, HOUR, "c", MODIFIED);
    object.size = strlen("{\"n\":\"b\"}{\"n\":\"brok");
    assert_int_equal(bench_ready(&bench, HOUR, true), 0);
    assert_string_equal(bench_log(&bench, HOUR), "a b c");
    assert_int_equal(hours_blob(bench.hours, HOUR, &object, &patience), 0);
    assert_int_equal(told_times("is damaged at byte"), 1);
    assert_int_equal(bench.disk.counters.damaged, 1);
}

static atomic_uint waits;

static void count_waits(void) {
    atomic_fetch_add(&waits, 1);
}

/* So large that few of them fill the window. */
static void large_objects_come_whole(void **state) {
    (void)state;
    enum { COUNT = 60, SIZE = 400 * 1024 };
    char *event = malloc(SIZE + 1);
    assert_non_null(event);
    for (int i = 0; i < COUNT; i++) {
        char name[16];
        snprintf(name, sizeof name, "%04d", i);
        memset(event, 'x', SIZE);
        memcpy(event, "{\"n\":\"", 6);
        memcpy(event + SIZE - 2, "\"}", 3);
        scripted_put(&bench.source, key_of(HOUR, name), event, MODIFIED, "e");
    }
    free(event);
    assert_int_equal(bench_ready(&bench, HOUR, true), 0);
    assert_int_equal(bench.source.gets, COUNT);
    assert_int_equal(disk_state(&bench.disk, HOUR).size, COUNT * (SIZE + 1));
}

static void who_has_to_wait_is_told_before(void **state) {
    (void)state;
    struct patience patience = {.waits = count_waits};
    atomic_store(&waits, 0);
    bench_put(&bench, HOUR, "a", MODIFIED);
    assert_int_equal(hours_ready(bench.hours, HOUR, true, &patience), 0);
    unsigned first = atomic_load(&waits);
    assert_true(first > 0);
    hours_watching(bench.hours, HOUR); /* from now on it is answered as it is known */
    assert_int_equal(hours_ready(bench.hours, HOUR, true, &patience), 0);
    assert_int_equal(atomic_load(&waits), first);
}

static void an_overwritten_object_is_told_once(void **state) {
    (void)state;
    bench_put(&bench, HOUR, "a", MODIFIED);
    assert_int_equal(bench_ready(&bench, HOUR, true), 0);
    scripted_put(&bench.source, key_of(HOUR, "a"), "{\"n\":\"other\"}", MODIFIED + 1, "f");
    for (int i = 0; i < 3; i++) {
        usleep(3000);
        assert_int_equal(bench_ready(&bench, HOUR, true), 0);
    }
    assert_string_equal(bench_log(&bench, HOUR), "a");
    assert_int_equal(told_times("was overwritten"), 1);
    assert_int_equal(bench.disk.counters.overwritten, 1);
}

/* -- Reading ahead ----------------------------------------------------------------------------- */

static void walk_to(hour_t folder, unsigned depth) {
    struct children children = {0};
    struct patience patience = {0};
    assert_int_equal(hours_children(bench.hours, folder, depth, &children, &patience), 0);
    children_free(&children);
}

static bool month_is_listed(unsigned month) {
    struct children children = {0};
    bool fresh;
    assert_int_equal(
        catalog_children(bench.catalog, hour_pack(2021, month, 0, 0), 2, &children, &fresh), 0);
    children_free(&children);
    return fresh;
}

/* Of who walks from month to month, the source is asked for two of them ahead. */
static void the_next_months_are_listed_ahead(void **state) {
    (void)state;
    bench_stop(&bench);
    bench.config.dir_ttl_ms = 86400000;
    bench.source.base.folds_any = true;
    bench_start(&bench);
    for (unsigned month = 1; month <= 9; month += 2)
        bench_put(&bench, hour_pack(2021, month, 1, 0), "macie-1-a", MODIFIED);
    walk_to(hour_pack(2021, 0, 0, 0), 1);
    walk_to(hour_pack(2021, 1, 0, 0), 2);
    AWAIT(month_is_listed(3) && month_is_listed(5));
    assert_false(month_is_listed(7));
    walk_to(hour_pack(2021, 3, 0, 0), 2);
    AWAIT(month_is_listed(7));
    assert_false(month_is_listed(9));
    walk_to(hour_pack(2021, 5, 0, 0), 2);
    AWAIT(month_is_listed(9));
    assert_int_equal(scripted_lists(&bench.source), 6);
}

/* Who comes from somewhere else reads that month alone. */
static void one_month_is_no_walk(void **state) {
    (void)state;
    bench_stop(&bench);
    bench.config.dir_ttl_ms = 86400000;
    bench.source.base.folds_any = true;
    bench_start(&bench);
    for (unsigned month = 1; month <= 5; month++)
        bench_put(&bench, hour_pack(2021, month, 1, 0), "macie-1-a", MODIFIED);
    walk_to(hour_pack(2021, 3, 0, 0), 2);
    bench_stop(&bench);
    assert_int_equal(scripted_lists(&bench.source), 1);
    bench_start(&bench);
}

/* -- No network -------------------------------------------------------------------------------- */

static void nothing_known_and_no_source_is_an_error(void **state) {
    (void)state;
    struct children children = {0};
    struct hour_listing *listing;
    struct patience patience = {0};
    bench.source.err = -ENETDOWN;
    assert_int_equal(bench_ready(&bench, HOUR, true), -ENETDOWN);
    assert_int_equal(hours_children(bench.hours, 0, 0, &children, &patience), -ENETDOWN);
    assert_int_equal(hours_objects(bench.hours, HOUR, &listing, &patience), -ENETDOWN);
    assert_int_equal(bench.disk.counters.offline_now, 1);
    assert_int_equal(told_times("the script says"), 1);
    /* The current hour is there before anything was delivered in it. */
    assert_int_equal(bench_ready(&bench, hour_at(time(NULL)), true), 0);
    scripted_set_err(&bench.source, 0);
    assert_int_equal(bench_ready(&bench, HOUR, true), 0);
    assert_int_equal(bench.disk.counters.offline_now, 0);
    assert_int_equal(told_times("answers again"), 1);
}

static void what_is_known_is_served_without_a_source(void **state) {
    (void)state;
    struct children children = {0};
    struct hour_listing *listing;
    struct patience patience = {0};
    bench_put(&bench, HOUR, "a", MODIFIED);
    bench_put(&bench, HOUR, "b", MODIFIED + 1);
    assert_int_equal(bench_ready(&bench, HOUR, true), 0);
    bench_again(&bench);
    bench.source.err = -ENETDOWN;
    assert_int_equal(bench_ready(&bench, HOUR, true), 0);
    assert_string_equal(bench_log(&bench, HOUR), "a b");
    /* While it is known to be away, nobody waits for it. */
    unsigned lists = bench.source.lists;
    assert_int_equal(bench_ready(&bench, HOUR, true), 0);
    assert_int_equal(bench.source.lists, lists);
    assert_int_equal(
        hours_children(bench.hours, hour_pack(2021, 11, 24, 0), 3, &children, &patience), 0);
    assert_int_equal(children.mask, 1 << 5);
    assert_int_equal(hours_objects(bench.hours, HOUR, &listing, &patience), 0);
    assert_int_equal(listing->count, 2);
    assert_string_equal(listing->objects[1].key, key_of(HOUR, "b"));
    assert_int_equal(listing->objects[1].modified, MODIFIED + 1);
    catalog_release(bench.catalog, listing);
}

/* A journal is no listing: as soon as the source is back, it is asked. */
static void what_the_journal_knew_is_not_fresh(void **state) {
    (void)state;
    struct hour_listing *listing;
    struct patience patience = {0};
    bench_put(&bench, HOUR, "a", MODIFIED);
    assert_int_equal(bench_ready(&bench, HOUR, true), 0);
    bench_put(&bench, HOUR, "b", MODIFIED);
    bench.config.dir_ttl_ms = 86400000;
    bench_again(&bench);
    bench.source.err = -ENETDOWN;
    for (size_t i = 1; i <= 2; i++) {
        assert_int_equal(hours_objects(bench.hours, HOUR, &listing, &patience), 0);
        assert_int_equal(listing->count, i);
        catalog_release(bench.catalog, listing);
        scripted_set_err(&bench.source, 0);
    }
}

static void a_network_that_fails_midway_loses_nothing(void **state) {
    (void)state;
    for (int i = 0; i < 10; i++)
        bench_put(&bench, HOUR, (char[]){(char)('a' + i), '\0'}, MODIFIED);
    scripted_set(&bench.source, key_of(HOUR, "e"), -ENETDOWN, false);
    assert_int_equal(bench_ready(&bench, HOUR, true), -ENETDOWN);
    const char *log = bench_log(&bench, HOUR);
    assert_memory_equal(log, "a b c d e f g h i j", strlen(log));
    assert_null(strchr(log, 'e'));
    assert_int_equal(bench.disk.counters.offline_now, 1);
    scripted_set(&bench.source, key_of(HOUR, "e"), 0, false);
    hours_source_result(bench.hours, 0, NULL);
    assert_int_equal(bench_ready(&bench, HOUR, true), 0);
    assert_string_equal(bench_log(&bench, HOUR), "a b c d e f g h i j");
    assert_int_equal(bench.disk.counters.objects, 10);
}

static void patience_lost_ends_the_wait_alone(void **state) {
    (void)state;
    struct reader reader;
    bench_put(&bench, HOUR, "a", MODIFIED);
    scripted_set(&bench.source, key_of(HOUR, "a"), 0, true);
    reader_start(&reader, HOUR, true);
    scripted_await_held(&bench.source, 1);
    atomic_store(&reader.patience.lost, true);
    hours_wake(bench.hours);
    assert_int_equal(reader_join(&reader), -EINTR);
    scripted_set(&bench.source, key_of(HOUR, "a"), 0, false);
    AWAIT(disk_state(&bench.disk, HOUR).known);
    assert_string_equal(bench_log(&bench, HOUR), "a");
    assert_int_equal(scripted_gets(&bench.source, key_of(HOUR, "a")), 1);
}

static void the_end_waits_for_nothing(void **state) {
    (void)state;
    struct reader readers[3];
    for (int i = 0; i < 3; i++) {
        hour_t hour = hour_add(HOUR, i);
        bench_put(&bench, hour, "a", MODIFIED);
        bench_put(&bench, hour, "b", MODIFIED);
        scripted_set(&bench.source, key_of(hour, "b"), 0, true);
        reader_start(&readers[i], hour, true);
    }
    scripted_await_held(&bench.source, 3);
    for (int i = 0; i < 3; i++)
        atomic_store(&readers[i].patience.lost, true);
    hours_wake(bench.hours);
    for (int i = 0; i < 3; i++)
        assert_int_equal(reader_join(&readers[i]), -EINTR);
    bench_again(&bench);
    assert_int_equal(told.len, 0);
    for (int i = 0; i < 3; i++) {
        scripted_set(&bench.source, key_of(hour_add(HOUR, i), "b"), 0, false);
        assert_int_equal(bench_ready(&bench, hour_add(HOUR, i), true), 0);
        assert_string_equal(bench_log(&bench, hour_add(HOUR, i)), "a b");
    }
}

/* -- Evicted hours ----------------------------------------------------------------------------- */

static void the_size_of_an_evicted_hour_costs_no_fetch(void **state) {
    (void)state;
    bench_put(&bench, HOUR, "a", MODIFIED);
    bench_put(&bench, HOUR, "b", MODIFIED);
    assert_int_equal(bench_ready(&bench, HOUR, true), 0);
    bench_evict(&bench, HOUR);
    assert_int_equal(bench_ready(&bench, HOUR, false), 0);
    assert_int_equal(disk_state(&bench.disk, HOUR).size, 20);
    assert_int_equal(bench.source.gets, 2);
    struct reader readers[8];
    for (int i = 0; i < 8; i++)
        reader_start(&readers[i], HOUR, true);
    for (int i = 0; i < 8; i++)
        assert_int_equal(reader_join(&readers[i]), 0);
    assert_string_equal(bench_log(&bench, HOUR), "a b");
    assert_int_equal(bench.source.gets, 4);
    assert_int_equal(bench.disk.counters.objects, 2);
}

static void news_join_no_hole(void **state) {
    (void)state;
    bench_put(&bench, HOUR, "a", MODIFIED);
    assert_int_equal(bench_ready(&bench, HOUR, true), 0);
    bench_evict(&bench, HOUR);
    bench_put(&bench, HOUR, "0", MODIFIED - 1);
    assert_int_equal(bench_ready(&bench, HOUR, false), 0);
    assert_string_equal(bench_log(&bench, HOUR), "a 0");
    assert_int_equal(told.len, 0);
}

static void what_cannot_be_had_again_is_told(void **state) {
    (void)state;
    for (int i = 0; i < 2; i++) {
        hour_t hour = hour_add(HOUR, i);
        bench_put(&bench, hour, "a", MODIFIED);
        bench_put(&bench, hour, "b", MODIFIED);
        assert_int_equal(bench_ready(&bench, hour, true), 0);
        bench_evict(&bench, hour);
        if (i)
            scripted_put(&bench.source, key_of(hour, "a"), "{\"n\":\"z\"}", MODIFIED, "f");
        else
            scripted_remove(&bench.source, key_of(hour, "a"));
        assert_int_equal(bench_ready(&bench, hour, false), 0);
        assert_int_equal(bench_ready(&bench, hour, true), -ESTALE);
        assert_int_equal(disk_state(&bench.disk, hour).size, 20);
    }
    assert_int_equal(told_times("is gone"), 1);
}

/* The source lies: same key and ETag, other bytes. */
static void other_bytes_are_never_put_in_place(void **state) {
    (void)state;
    bench_put(&bench, HOUR, "a", MODIFIED);
    assert_int_equal(bench_ready(&bench, HOUR, true), 0);
    bench_evict(&bench, HOUR);
    scripted_put(&bench.source, key_of(HOUR, "a"), "{\"n\":\"z\"}", MODIFIED, "e");
    assert_int_equal(bench_ready(&bench, HOUR, true), -ESTALE);
    assert_int_equal(told_times("cannot be fetched again"), 1);
    scripted_put(&bench.source, key_of(HOUR, "a"), "{\"n\":\"a\"}", MODIFIED, "e");
    assert_int_equal(bench_ready(&bench, HOUR, true), 0);
    assert_string_equal(bench_log(&bench, HOUR), "a");
}

/* -- Single objects ---------------------------------------------------------------------------- */

/* -- Hours that the disk may not have yet ------------------------------------------------------ */

/*
 * The machine stops and starts: what of the log the kernel had not written is zeros. `torn`: so is
 * what was kept of its objects.
 */
static void crash(hour_t hour, bool torn) {
    char path[32];
    snprintf(path, sizeof path, "stored/%04u-%02u-%02u-%02u", hour_year(hour), hour_month(hour),
             hour_day(hour), hour_hour(hour));
    int fd = openat(bench.disk.folder, path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "00000000", 8, 31), 8); /* where the head names the start */
    if (torn)
        assert_int_equal(pwrite(fd, "\0\0", 2, 72), 2);
    close(fd);
    disk_patch(&bench.disk, hour, "ndjson", 0, "\1\1\1");
    bench_again(&bench);
    assert_false(disk_state(&bench.disk, hour).present);
}

static void put_letters(hour_t hour) {
    bench_put(&bench, hour, "a", MODIFIED);
    scripted_put(&bench.source, key_of(hour, "b"), "{\"n\":\"b\"}{\"n\"", MODIFIED + 1, "e");
    scripted_put(&bench.source, key_of(hour, "c"), "", MODIFIED + 2, "e");
    bench_put(&bench, hour, "d", MODIFIED + 3);
    assert_int_equal(bench_ready(&bench, hour, true), 0);
    assert_string_equal(bench_log(&bench, hour), "a b d");
}

static void a_machine_that_stops_costs_no_fetch(void **state) {
    (void)state;
    put_letters(HOUR);
    crash(HOUR, false);
    bench.source.err = -ENETDOWN;
    hours_settle(bench.hours);
    AWAIT(disk_state(&bench.disk, HOUR).present);
    assert_string_equal(bench_log(&bench, HOUR), "a b d");
    assert_int_equal(bench.source.gets, 4);
    assert_int_equal(store_lost(bench.disk.store), 0);
}

static void a_reader_is_faster_than_the_watcher(void **state) {
    (void)state;
    put_letters(HOUR);
    crash(HOUR, false);
    assert_int_equal(bench_ready(&bench, HOUR, true), 0);
    assert_string_equal(bench_log(&bench, HOUR), "a b d");
    assert_int_equal(bench.source.gets, 4);
    hours_settle(bench.hours);
}

static void what_was_kept_and_is_torn_is_fetched(void **state) {
    (void)state;
    put_letters(HOUR);
    crash(HOUR, true);
    assert_int_equal(bench_ready(&bench, HOUR, true), 0);
    assert_string_equal(bench_log(&bench, HOUR), "a b d");
    assert_true(bench.source.gets > 4);
    assert_int_equal(store_lost(bench.disk.store), 0);
    assert_int_equal(told_times("again"), 0);
    put_letters(hour_add(HOUR, 1));
    crash(hour_add(HOUR, 1), true);
    bench.source.err = -ENETDOWN;
    assert_int_equal(bench_ready(&bench, hour_add(HOUR, 1), true), -ENETDOWN);
    bench.source.err = 0;
    assert_int_equal(bench_ready(&bench, hour_add(HOUR, 1), true), 0);
    assert_string_equal(bench_log(&bench, hour_add(HOUR, 1)), "a b d");
}

static void *wait_blob(void *ctx) {
    struct reader *reader = ctx;
    struct object object = object_of(key_of(HOUR, "a"), MODIFIED, "e");
    reader->result = hours_blob(bench.hours, HOUR, &object, &reader->patience);
    return NULL;
}

static void a_blob_is_fetched_once(void **state) {
    (void)state;
    struct reader readers[8] = {0};
    struct object object = object_of(key_of(HOUR, "a"), MODIFIED, "e");
    char at[32];
    bench_put(&bench, HOUR, "a", MODIFIED);
    scripted_set(&bench.source, key_of(HOUR, "a"), 0, true);
    for (int i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&readers[i].thread, NULL, wait_blob, &readers[i]), 0);
    scripted_await_held(&bench.source, 1);
    scripted_set(&bench.source, key_of(HOUR, "a"), 0, false);
    for (int i = 0; i < 8; i++)
        assert_int_equal(reader_join(&readers[i]), 0);
    assert_int_equal(bench.source.gets, 1);
    assert_int_equal(disk_read_blob(&bench.disk, HOUR, &object, 0, at, sizeof at), 9);
    assert_memory_equal(at, "{\"n\":\"a\"}", 9);
}

static void a_blob_that_cannot_be_had_is_not_there(void **state) {
    (void)state;
    static const int errs[] = {-EACCES, -ENETDOWN, -EIO};
    struct patience patience = {0};
    struct object object = object_of(key_of(HOUR, "a"), MODIFIED, "e");
    uint64_t size;
    bench_put(&bench, HOUR, "a", MODIFIED);
    for (size_t i = 0; i < 3; i++) {
        scripted_set(&bench.source, key_of(HOUR, "a"), errs[i], false);
        assert_int_equal(hours_blob(bench.hours, HOUR, &object, &patience), errs[i]);
        assert_int_equal(blob_size(bench.disk.store, HOUR, &object, &size), -ENODATA);
    }
    scripted_set(&bench.source, key_of(HOUR, "a"), 0, false);
    assert_int_equal(hours_blob(bench.hours, HOUR, &object, &patience), 0);
    assert_int_equal(blob_size(bench.disk.store, HOUR, &object, &size), 0);
    assert_int_equal(size, 9);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(an_hour_without_objects_is_empty),
        TEST(objects_come_in_the_order_of_their_time),
        TEST(fetches_that_end_in_reverse_change_nothing),
        TEST(many_readers_fetch_once),
        TEST(the_second_under_way_is_held_back),
        TEST(an_hour_is_listed_once_in_a_while),
        TEST(many_hours_come_side_by_side),
        TEST(more_objects_than_the_window_come_whole),
        TEST(an_object_that_is_refused_stops_no_other),
        TEST(many_that_are_refused_do_not_fill_the_log),
        TEST(an_object_that_is_gone_is_nobodys_fault),
        TEST(an_object_that_stays_away_is_told),
        TEST(damage_is_told_once_and_keeps_what_was_whole),
        TEST(large_objects_come_whole),
        TEST(who_has_to_wait_is_told_before),
        TEST(an_overwritten_object_is_told_once),
        TEST(the_next_months_are_listed_ahead),
        TEST(one_month_is_no_walk),
        TEST(nothing_known_and_no_source_is_an_error),
        TEST(what_is_known_is_served_without_a_source),
        TEST(what_the_journal_knew_is_not_fresh),
        TEST(a_network_that_fails_midway_loses_nothing),
        TEST(patience_lost_ends_the_wait_alone),
        TEST(the_end_waits_for_nothing),
        TEST(the_size_of_an_evicted_hour_costs_no_fetch),
        TEST(news_join_no_hole),
        TEST(what_cannot_be_had_again_is_told),
        TEST(other_bytes_are_never_put_in_place),
        TEST(a_machine_that_stops_costs_no_fetch),
        TEST(a_reader_is_faster_than_the_watcher),
        TEST(what_was_kept_and_is_torn_is_fetched),
        TEST(a_blob_is_fetched_once),
        TEST(a_blob_that_cannot_be_had_is_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
