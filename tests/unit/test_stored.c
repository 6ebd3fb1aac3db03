/* Objects as they are stored, which stand in for a log until the disk has it. */
#include "store_kit.h"

#include <maciefs/clock.h>
#include <signal.h>
#include <sys/resource.h>

#define KEPT "stored/2021-11-24-05"
#define BOOT_AT 31 /* of the head, "maciefs-stored 1 2021/11/24/05 BOOT\n" */
#define HEAD_LEN 68

static struct disk disk;
static bool disk_fails;

/* The C library's, for all that is linked here. */
int fdatasync(int fd) {
    if (!disk_fails)
        return fsync(fd);
    errno = EIO;
    return -1;
}

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

/* Writes an object of one line, {"n":"KEY"}, that is stored as "<KEY>". */
static int keep_as(hour_t hour, const char *key, uint64_t size) {
    char line[64], bytes[64];
    struct object object = object_of(key, MODIFIED, "e");
    snprintf(line, sizeof line, "{\"n\":\"%s\"}\n", key);
    snprintf(bytes, sizeof bytes, "<%s>", key);
    struct spool spool = spool_of(&disk, line), stored;
    spool_init(&stored, disk.folder, spool.stock);
    assert_int_equal(spool_write(&stored, (const uint8_t *)bytes, strlen(bytes)), 0);
    object.size = size;
    int err = store_write(disk.store, hour, &object, &spool, &stored, false);
    spool_free(&spool);
    spool_free(&stored);
    return err;
}

static void keep(hour_t hour, const char *key) {
    assert_int_equal(keep_as(hour, key, strlen(key) + 2), 0);
}

static void commit(hour_t hour) {
    assert_int_equal(store_commit(disk.store, hour), 0);
}

static int64_t size_of(const char *path) {
    struct stat st;
    return fstatat(disk.folder, path, &st, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : st.st_size;
}

/* What is kept of an object, or "" where it is not. */
static const char *kept(uint64_t offset, size_t len) {
    static char bytes[64];
    struct file_range range;
    bytes[0] = '\0';
    int err = store_open_stored(disk.store, HOUR, offset, len, &range);
    if (err) {
        assert_int_equal(err, -ENODATA);
        assert_int_equal(range.fd, -1);
        return bytes;
    }
    assert_int_equal(file_range_read(&range, bytes), len);
    bytes[len] = '\0';
    return bytes;
}

/* The disk has all logs that were committed `age_ms` ago. Returns how many had to be waited for. */
static unsigned settle(int64_t age_ms) {
    hour_t hour;
    for (unsigned count = 0;; count++) {
        assert_int_equal(store_settle(disk.store, age_ms, &hour), 0);
        if (!hour)
            return count;
    }
}

static uint64_t bytes_now(void) {
    return disk.counters.cache_bytes_now;
}

/* The machine stops and starts: what the kernel had not written of the log is zeros. */
static void crash(void) {
    store_free(disk.store);
    int fd = openat(disk.folder, KEPT, O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "00000000", 8, BOOT_AT), 8);
    close(fd);
    if (disk_file_size(&disk, HOUR, "ndjson") > 0)
        disk_patch(&disk, HOUR, "ndjson", 0, "\1\1\1\1\1");
    disk_open_store(&disk);
}

/* -- Beginning and end ------------------------------------------------------------------------- */

static void they_stand_in_until_the_disk_has_the_log(void **state) {
    (void)state;
    keep(HOUR, "a");
    keep(HOUR, "bb");
    assert_int_equal(store_lost(disk.store), 0);
    commit(HOUR);
    assert_log(&disk, HOUR, "{\"n\":\"a\"}\n{\"n\":\"bb\"}\n");
    assert_int_equal(size_of(KEPT), HEAD_LEN + 7);
    assert_int_equal(bytes_now(), 21 + HEAD_LEN + 7);
    assert_string_equal(kept(0, 3), "<a>");
    assert_string_equal(kept(3, 4), "<bb>");
    assert_string_equal(kept(4, 4), "");
    assert_int_equal(settle(60000), 0);
    assert_int_equal(settle(0), 1);
    assert_int_equal(size_of(KEPT), -ENOENT);
    assert_int_equal(bytes_now(), 21);
    assert_string_equal(kept(0, 3), "");
    assert_int_equal(store_lost(disk.store), 0);
    assert_log(&disk, HOUR, "{\"n\":\"a\"}\n{\"n\":\"bb\"}\n");
}

static void a_log_grows_in_several_commits(void **state) {
    (void)state;
    keep(HOUR, "a");
    commit(HOUR);
    keep(HOUR, "bb");
    commit(HOUR);
    assert_int_equal(bytes_now(), 21 + HEAD_LEN + 7);
    assert_string_equal(kept(0, 3), "<a>");
    assert_string_equal(kept(3, 4), "<bb>");
    assert_int_equal(settle(0), 1);
    keep(HOUR, "ccc"); /* not all of the log could be kept any more */
    commit(HOUR);
    assert_int_equal(size_of(KEPT), -ENOENT);
    assert_int_equal(settle(0), 0);
    assert_log(&disk, HOUR, "{\"n\":\"a\"}\n{\"n\":\"bb\"}\n{\"n\":\"ccc\"}\n");
}

static void one_that_is_not_kept_makes_the_others_useless(void **state) {
    (void)state;
    keep(HOUR, "a");
    assert_int_equal(keep_as(HOUR, "b", 100), 0); /* fewer bytes than it should have */
    keep(HOUR, "c");
    commit(HOUR);
    assert_int_equal(size_of(KEPT), -ENOENT);
    assert_int_equal(bytes_now(), 30);
    assert_log(&disk, HOUR, "{\"n\":\"a\"}\n{\"n\":\"b\"}\n{\"n\":\"c\"}\n");
}

static void what_is_appended_without_waits_for_the_log(void **state) {
    (void)state;
    keep(HOUR, "a");
    commit(HOUR);
    disk_append(&disk, HOUR, "late", "{}\n");
    assert_int_equal(size_of(KEPT), -ENOENT);
    assert_int_equal(bytes_now(), 13);
    assert_int_equal(settle(0), 0);
    assert_log(&disk, HOUR, "{\"n\":\"a\"}\n{}\n");
}

static void a_rollback_forgets_them(void **state) {
    (void)state;
    keep(HOUR, "a");
    store_rollback(disk.store, HOUR);
    assert_int_equal(size_of(KEPT), -ENOENT);
    keep(HOUR, "a");
    commit(HOUR);
    keep(HOUR, "bb");
    store_rollback(disk.store, HOUR);
    assert_int_equal(size_of(KEPT), HEAD_LEN + 3);
    assert_string_equal(kept(3, 4), "");
    keep(HOUR, "cc");
    commit(HOUR);
    assert_string_equal(kept(3, 4), "<cc>");
    assert_int_equal(bytes_now(), 21 + HEAD_LEN + 7);
}

static void a_log_that_grows_is_not_asked_for(void **state) {
    (void)state;
    keep(HOUR, "a");
    commit(HOUR);
    keep(HOUR, "b");
    assert_int_equal(settle(0), 0);
    commit(HOUR);
    assert_int_equal(settle(0), 1);
}

static void the_one_that_waited_longest_is_first(void **state) {
    (void)state;
    hour_t hour;
    for (int i = 2; i >= 0; i--) {
        keep(hour_add(HOUR, i), "a");
        commit(hour_add(HOUR, i));
        for (int64_t now = clock_ms(); clock_ms() <= now;)
            ;
    }
    for (int i = 2; i >= 0; i--) {
        assert_int_equal(store_settle(disk.store, 0, &hour), 0);
        assert_int_equal(hour, hour_add(HOUR, i));
    }
}

static void only_so_many_wait_at_once(void **state) {
    (void)state;
    for (int i = 0; i < 70; i++) {
        keep(hour_add(HOUR, i), "a");
        commit(hour_add(HOUR, i));
    }
    assert_int_equal(settle(0), 64);
    assert_int_equal(bytes_now(), 70 * 10);
    keep(hour_add(HOUR, 70), "a");
    commit(hour_add(HOUR, 70));
    assert_int_equal(settle(0), 1);
}

static void who_drops_the_log_drops_them(void **state) {
    (void)state;
    keep(HOUR, "a");
    commit(HOUR);
    assert_int_equal(store_discard(disk.store, HOUR), 0);
    assert_int_equal(size_of(KEPT), -ENOENT);
    assert_int_equal(bytes_now(), 0);
    assert_int_equal(store_remove(disk.store, HOUR), 0);
    keep(HOUR, "a");
    commit(HOUR);
    assert_int_equal(store_remove(disk.store, HOUR), 0);
    assert_int_equal(size_of(KEPT), -ENOENT);
    assert_int_equal(bytes_now(), 0);
    keep(HOUR, "a");
    commit(HOUR);
    store_free(disk.store);
    disk.options.size = 1;
    disk_open_store(&disk);
    assert_int_equal(store_evict(disk.store, HOUR + 1), 1);
    assert_int_equal(size_of(KEPT), -ENOENT);
    assert_int_equal(disk_file_size(&disk, HOUR, "ndjson"), -ENOENT);
    assert_false(disk_state(&disk, HOUR).present);
    assert_int_equal(settle(0), 0);
}

/* -- Another server ---------------------------------------------------------------------------- */

static void another_server_goes_on(void **state) {
    (void)state;
    keep(HOUR, "a");
    commit(HOUR);
    disk_again(&disk);
    assert_log(&disk, HOUR, "{\"n\":\"a\"}\n");
    assert_string_equal(kept(0, 3), "<a>");
    keep(HOUR, "bb");
    commit(HOUR);
    disk_again(&disk);
    assert_string_equal(kept(3, 4), "<bb>");
    assert_int_equal(bytes_now(), 21 + HEAD_LEN + 7);
    assert_int_equal(settle(0), 1);
    assert_int_equal(size_of(KEPT), -ENOENT);
    assert_int_equal(bytes_now(), 21);
    assert_log(&disk, HOUR, "{\"n\":\"a\"}\n{\"n\":\"bb\"}\n");
}

/* A file as it is left where a server dies before its first commit, and others that are not ours.
 */
static void what_no_journal_knows_is_removed(void **state) {
    (void)state;
    static const char *const others[] = {"stored/2021-11-24-5", "stored/2021-13-24-05", "stored/x"};
    keep(HOUR, "a");
    commit(HOUR);
    assert_int_equal(unlinkat(disk.folder, disk_file(HOUR, "journal"), 0), 0);
    for (size_t i = 0; i < 3; i++)
        close(openat(disk.folder, others[i], O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    disk_again(&disk);
    assert_int_equal(size_of(KEPT), -ENOENT);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(size_of(others[i]), 0);
    assert_false(disk_state(&disk, HOUR).known);
}

static void a_folder_that_cannot_be_read_is_told(void **state) {
    (void)state;
    struct fault fault;
    struct store *store;
    close(openat(disk.folder, "stored", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    assert_int_equal(store_open(disk.folder, &disk.options, &store, &fault), -ENOTDIR);
    assert_non_null(strstr(fault.text, "cannot be read"));
    assert_int_equal(unlinkat(disk.folder, "stored", 0), 0);
    assert_int_equal(mkdirat(disk.folder, "stored", 0700), 0);
    assert_int_equal(symlinkat("/etc/passwd", disk.folder, KEPT), 0);
    assert_int_equal(store_open(disk.folder, &disk.options, &store, &fault), -ELOOP);
}

/* -- After a crash of the machine -------------------------------------------------------------- */

/* Restores the log from what is kept, as the batch does. */
static int restore(const char *const *keys, size_t count) {
    int err = store_restore_begin(disk.store, HOUR, false);
    uint64_t offset = 0, at = 0;
    for (size_t i = 0; !err && i < count; i++) {
        char line[64], bytes[64];
        size_t len = (size_t)snprintf(bytes, sizeof bytes, "<%s>", keys[i]);
        assert_string_equal(kept(at, len), bytes);
        snprintf(line, sizeof line, "{\"n\":\"%s\"}\n", keys[i]);
        struct spool spool = spool_of(&disk, line);
        struct journal_entry entry = {
            .offset = offset, .length = spool.len, .crc32c = spool.crc32c};
        err = store_restore_put(disk.store, HOUR, &entry, &spool, NULL);
        spool_free(&spool);
        offset += entry.length;
        at += len;
    }
    return err ? err : store_restore_finish(disk.store, HOUR);
}

static void after_a_crash_the_log_is_made_of_them(void **state) {
    (void)state;
    static const char *const keys[] = {"a", "bb"};
    keep(HOUR, "a");
    keep(HOUR, "bb");
    commit(HOUR);
    crash();
    struct log_state log = disk_state(&disk, HOUR);
    assert_true(log.known && !log.present);
    assert_int_equal(log.size, 21);
    assert_int_equal(store_lost(disk.store), HOUR);
    assert_int_equal(settle(0), 0);
    assert_int_equal(bytes_now(), HEAD_LEN + 7);
    disk_again(&disk); /* and once more */
    assert_int_equal(store_lost(disk.store), HOUR);
    assert_int_equal(restore(keys, 2), 0);
    assert_log(&disk, HOUR, "{\"n\":\"a\"}\n{\"n\":\"bb\"}\n");
    assert_int_equal(size_of(KEPT), -ENOENT);
    assert_int_equal(store_lost(disk.store), 0);
    assert_int_equal(bytes_now(), 21);
}

/* Nothing is appended to a log whose bytes are lost. */
static void a_lost_log_does_not_grow(void **state) {
    (void)state;
    keep(HOUR, "a");
    commit(HOUR);
    crash();
    assert_int_equal(keep_as(HOUR, "b", 3), -ENODATA);
    assert_int_equal(disk_write(&disk, HOUR, "c", "{}\n"), -ENODATA);
    assert_int_equal(store_lost(disk.store), HOUR);
}

/* The journal tells of more: the disk had the log when that was appended. */
static void too_few_of_them_are_old_ones(void **state) {
    (void)state;
    keep(HOUR, "a");
    commit(HOUR);
    store_free(disk.store);
    assert_int_equal(renameat(disk.folder, KEPT, disk.folder, "saved"), 0);
    disk_open_store(&disk);
    disk_append(&disk, HOUR, "late", "{}\n");
    assert_int_equal(renameat(disk.folder, "saved", disk.folder, KEPT), 0);
    store_free(disk.store);
    int fd = openat(disk.folder, KEPT, O_WRONLY);
    assert_int_equal(pwrite(fd, "00000000", 8, BOOT_AT), 8);
    close(fd);
    disk_open_store(&disk);
    assert_int_equal(size_of(KEPT), -ENOENT);
    assert_int_equal(store_lost(disk.store), 0);
    assert_log(&disk, HOUR, "{\"n\":\"a\"}\n{}\n");
}

static void a_log_without_bytes_has_none_to_lose(void **state) {
    (void)state;
    struct object object = object_of("empty", MODIFIED, "e");
    struct spool spool = spool_of(&disk, ""), stored = spool_of(&disk, "");
    object.size = 0;
    assert_int_equal(store_write(disk.store, HOUR, &object, &spool, &stored, false), 0);
    commit(HOUR);
    crash();
    assert_int_equal(store_lost(disk.store), 0);
    assert_int_equal(size_of(KEPT), -ENOENT);
    assert_true(disk_state(&disk, HOUR).present);
    assert_log(&disk, HOUR, "");
}

static void data_that_was_taken_away_is_lost_as_well(void **state) {
    (void)state;
    static const char *const keys[] = {"a"};
    keep(HOUR, "a");
    commit(HOUR);
    assert_int_equal(unlinkat(disk.folder, disk_file(HOUR, "ndjson"), 0), 0);
    disk_again(&disk);
    assert_int_equal(store_lost(disk.store), HOUR);
    assert_int_equal(restore(keys, 1), 0);
    assert_log(&disk, HOUR, "{\"n\":\"a\"}\n");
}

/* -- Evicted data that comes back -------------------------------------------------------------- */

/* Fetches the log's objects again and keeps them, but for those from `kept_count` on. */
static void refetch(const char *const *keys, size_t count, size_t kept_count) {
    uint64_t offset = 0;
    assert_int_equal(store_restore_begin(disk.store, HOUR, true), 0);
    for (size_t i = 0; i < count; i++) {
        char line[64], bytes[64];
        snprintf(line, sizeof line, "{\"n\":\"%s\"}\n", keys[i]);
        snprintf(bytes, sizeof bytes, "<%s>", keys[i]);
        struct spool spool = spool_of(&disk, line), stored;
        spool_init(&stored, disk.folder, spool.stock);
        assert_int_equal(spool_write(&stored, (const uint8_t *)bytes, strlen(bytes)), 0);
        struct journal_entry entry = {.offset = offset,
                                      .length = spool.len,
                                      .crc32c = spool.crc32c,
                                      .size = strlen(bytes) + (i >= kept_count)};
        assert_int_equal(store_restore_put(disk.store, HOUR, &entry, &spool, &stored), 0);
        offset += spool.len;
        spool_free(&spool);
        spool_free(&stored);
    }
}

static const char *const both[] = {"a", "bb"};

static void evict(void) {
    keep(HOUR, "a");
    keep(HOUR, "bb");
    commit(HOUR);
    assert_int_equal(store_discard(disk.store, HOUR), 0);
    assert_int_equal(bytes_now(), 0);
}

static void what_comes_back_is_kept_as_well(void **state) {
    (void)state;
    evict();
    refetch(both, 2, 2);
    assert_int_equal(disk_file_size(&disk, HOUR, "ndjson"), -ENOENT);
    assert_int_equal(settle(0), 0);
    assert_int_equal(store_restore_finish(disk.store, HOUR), 0);
    assert_log(&disk, HOUR, "{\"n\":\"a\"}\n{\"n\":\"bb\"}\n");
    assert_string_equal(kept(3, 4), "<bb>");
    assert_int_equal(bytes_now(), 21 + HEAD_LEN + 7);
    crash();
    assert_int_equal(store_lost(disk.store), HOUR);
    assert_int_equal(restore(both, 2), 0);
    assert_log(&disk, HOUR, "{\"n\":\"a\"}\n{\"n\":\"bb\"}\n");
    assert_int_equal(store_discard(disk.store, HOUR), 0);
    refetch(both, 2, 2);
    assert_int_equal(store_restore_finish(disk.store, HOUR), 0);
    assert_int_equal(settle(0), 1);
    assert_int_equal(bytes_now(), 21);
    assert_log(&disk, HOUR, "{\"n\":\"a\"}\n{\"n\":\"bb\"}\n");
}

static void what_comes_back_and_is_not_all_kept_is_waited_for(void **state) {
    (void)state;
    evict();
    refetch(both, 2, 1);
    assert_int_equal(store_restore_finish(disk.store, HOUR), 0);
    assert_int_equal(size_of(KEPT), -ENOENT);
    assert_int_equal(bytes_now(), 21);
    assert_log(&disk, HOUR, "{\"n\":\"a\"}\n{\"n\":\"bb\"}\n");
}

static void a_restore_that_breaks_off_keeps_nothing(void **state) {
    (void)state;
    evict();
    refetch(both, 2, 2);
    store_restore_abandon(disk.store, HOUR);
    assert_int_equal(size_of(KEPT), -ENOENT);
    refetch(both, 2, 2);
    disk_fails = true;
    assert_int_equal(store_restore_finish(disk.store, HOUR), -EIO);
    disk_fails = false;
    store_restore_abandon(disk.store, HOUR);
    assert_int_equal(size_of(KEPT), -ENOENT);
    assert_false(disk_state(&disk, HOUR).present);
    refetch(both, 1, 1);
    disk_again(&disk);
    assert_int_equal(size_of(KEPT), -ENOENT);
    assert_int_equal(bytes_now(), 0);
}

/* They are all there already, as the log was taken away by somebody. */
static void what_is_kept_is_not_kept_twice(void **state) {
    (void)state;
    keep(HOUR, "a");
    keep(HOUR, "bb");
    commit(HOUR);
    assert_int_equal(unlinkat(disk.folder, disk_file(HOUR, "ndjson"), 0), 0);
    char byte;
    assert_int_equal(store_read(disk.store, HOUR, 0, &byte, 1), -ENODATA);
    refetch(both, 2, 2);
    assert_int_equal(size_of(KEPT), HEAD_LEN + 7);
    assert_int_equal(store_restore_finish(disk.store, HOUR), 0);
    assert_int_equal(size_of(KEPT), -ENOENT);
    assert_log(&disk, HOUR, "{\"n\":\"a\"}\n{\"n\":\"bb\"}\n");
}

/* -- A disk that fails, or is full ------------------------------------------------------------- */

static void a_log_that_the_disk_did_not_take_is_lost(void **state) {
    (void)state;
    static const char *const keys[] = {"a"};
    hour_t hour;
    keep(HOUR, "a");
    commit(HOUR);
    disk_fails = true;
    assert_int_equal(store_settle(disk.store, 0, &hour), -EIO);
    disk_fails = false;
    assert_int_equal(hour, HOUR);
    assert_false(disk_state(&disk, HOUR).present);
    assert_int_equal(store_lost(disk.store), HOUR);
    assert_int_equal(settle(0), 0);
    assert_int_equal(bytes_now(), HEAD_LEN + 3);
    assert_int_equal(restore(keys, 1), 0);
    assert_log(&disk, HOUR, "{\"n\":\"a\"}\n");
    assert_int_equal(bytes_now(), 10);
}

static void a_commit_that_fails_leaves_what_was(void **state) {
    (void)state;
    keep(HOUR, "a");
    commit(HOUR);
    for (int with = 0; with < 2; with++) {
        if (with)
            keep(HOUR, "b");
        else
            assert_int_equal(disk_write(&disk, HOUR, "b", "{}\n"), 0);
        disk_fails = true;
        assert_int_equal(store_commit(disk.store, HOUR), -EIO);
        disk_fails = false;
        assert_log(&disk, HOUR, "{\"n\":\"a\"}\n");
        assert_int_equal(size_of(KEPT), HEAD_LEN + 3);
    }
    assert_int_equal(settle(0), 1);
    assert_int_equal(bytes_now(), 10);
}

static void without_room_for_them_the_log_is_waited_for(void **state) {
    (void)state;
    struct rlimit before, limit;
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    limit = (struct rlimit){HEAD_LEN - 1, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    keep(HOUR, "a");
    assert_int_equal(size_of(KEPT), -ENOENT);
    setrlimit(RLIMIT_FSIZE, &before);
    commit(HOUR);
    assert_log(&disk, HOUR, "{\"n\":\"a\"}\n");
    assert_int_equal(settle(0), 0);
    store_remove(disk.store, HOUR);
    keep(HOUR, "a");
    limit.rlim_cur = HEAD_LEN + 4;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    keep(HOUR, "bb");
    setrlimit(RLIMIT_FSIZE, &before);
    assert_int_equal(size_of(KEPT), -ENOENT);
    commit(HOUR);
    assert_log(&disk, HOUR, "{\"n\":\"a\"}\n{\"n\":\"bb\"}\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(they_stand_in_until_the_disk_has_the_log),
        TEST(a_log_grows_in_several_commits),
        TEST(one_that_is_not_kept_makes_the_others_useless),
        TEST(what_is_appended_without_waits_for_the_log),
        TEST(a_rollback_forgets_them),
        TEST(a_log_that_grows_is_not_asked_for),
        TEST(the_one_that_waited_longest_is_first),
        TEST(only_so_many_wait_at_once),
        TEST(who_drops_the_log_drops_them),
        TEST(another_server_goes_on),
        TEST(what_no_journal_knows_is_removed),
        TEST(a_folder_that_cannot_be_read_is_told),
        TEST(after_a_crash_the_log_is_made_of_them),
        TEST(a_lost_log_does_not_grow),
        TEST(too_few_of_them_are_old_ones),
        TEST(a_log_without_bytes_has_none_to_lose),
        TEST(data_that_was_taken_away_is_lost_as_well),
        TEST(what_comes_back_is_kept_as_well),
        TEST(what_comes_back_and_is_not_all_kept_is_waited_for),
        TEST(a_restore_that_breaks_off_keeps_nothing),
        TEST(what_is_kept_is_not_kept_twice),
        TEST(a_log_that_the_disk_did_not_take_is_lost),
        TEST(a_commit_that_fails_leaves_what_was),
        TEST(without_room_for_them_the_log_is_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
