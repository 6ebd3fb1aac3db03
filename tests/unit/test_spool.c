/* The spool: whole lines alone, in memory or in a file, the same either way. */
#include "store_kit.h"

#include <maciefs/crc32c.h>

#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>

static int folder;
static struct spool_stock stock;
static char folder_path[] = "/tmp/maciefs-test-XXXXXX";

static int open_folder(void **state) {
    (void)state;
    spool_stock_init(&stock, 8 * SPOOL_PIECES);
    folder = mkdtemp(folder_path) ? open(folder_path, O_RDONLY | O_DIRECTORY) : -1;
    return folder < 0;
}

/* The files have no names: nothing may be left in the folder. */
static int close_folder(void **state) {
    (void)state;
    spool_stock_free(&stock);
    close(folder);
    return rmdir(folder_path);
}

static struct spool new_spool(void) {
    struct spool spool;
    spool_init(&spool, folder, &stock);
    return spool;
}

static uint8_t byte_at(uint64_t offset) {
    return (uint8_t)(offset * 31 + offset / 1000);
}

static void write_bytes(struct spool *spool, size_t len) {
    uint8_t *bytes = malloc(len + 1);
    assert_non_null(bytes);
    for (size_t i = 0; i < len; i++)
        bytes[i] = byte_at(spool->len + i);
    assert_int_equal(spool_write(spool, bytes, len), 0);
    free(bytes);
}

/* Saves it behind some other bytes, and looks at all that is in the file then. Returns its sum. */
static uint32_t assert_saves(const struct spool *spool, uint64_t len) {
    static const char before[] = "before";
    struct file_sink sink = {.fd = memfd_create("saved", MFD_CLOEXEC), .offset = sizeof before};
    assert_int_equal(spool->len, len);
    assert_int_equal(pwrite(sink.fd, before, sizeof before, 0), sizeof before);
    assert_int_equal(spool_save(spool, &sink), 0);
    assert_int_equal(sink.offset, sizeof before + len);
    assert_int_equal(lseek(sink.fd, 0, SEEK_END), sizeof before + len);
    uint8_t *saved = malloc(len + 1);
    assert_non_null(saved);
    assert_int_equal(pread(sink.fd, saved, len, sizeof before), len);
    for (uint64_t i = 0; i < len; i++)
        assert_int_equal(saved[i], byte_at(i));
    uint32_t sum = crc32c(0, saved, len);
    free(saved);
    close(sink.fd);
    return sum;
}

/* Of a spool that is sealed. */
static void assert_holds(const struct spool *spool, uint64_t len) {
    assert_int_equal(assert_saves(spool, len), spool->crc32c);
}

static void an_empty_spool_holds_nothing(void **state) {
    (void)state;
    struct spool spool = new_spool();
    assert_int_equal(spool_seal(&spool), 0);
    assert_holds(&spool, 0);
    spool_free(&spool);
    spool_free(&spool);
}

static void lines_and_events_are_counted(void **state) {
    (void)state;
    struct spool spool = new_spool();
    for (int i = 0; i < 10; i++) {
        write_bytes(&spool, 100);
        spool_end(&spool, i % 3 == 0);
    }
    assert_int_equal(spool.lines, 10);
    assert_int_equal(spool.events, 4);
    assert_int_equal(spool_seal(&spool), 0);
    assert_holds(&spool, 1000);
    spool_free(&spool);
}

/* All ways in which lines can lie across what is in memory and what is in the file. */
static void what_is_no_whole_line_is_cut(void **state) {
    (void)state;
    static const size_t sizes[] = {0,
                                   1,
                                   SPOOL_MEMORY - 1,
                                   SPOOL_MEMORY,
                                   SPOOL_MEMORY + 1,
                                   2 * SPOOL_MEMORY,
                                   2 * SPOOL_MEMORY + 7,
                                   1000003};
    enum { COUNT = sizeof sizes / sizeof *sizes };
    for (size_t i = 0; i < COUNT * COUNT; i++) {
        size_t whole = sizes[i / COUNT], rest = sizes[i % COUNT];
        struct spool spool = new_spool();
        write_bytes(&spool, whole);
        if (whole)
            spool_end(&spool, true);
        write_bytes(&spool, rest);
        assert_int_equal(spool.len, whole + rest);
        assert_int_equal(spool_seal(&spool), 0);
        assert_holds(&spool, whole);
        spool_free(&spool);
    }
}

static void small_and_large_writes_keep_their_order(void **state) {
    (void)state;
    struct spool spool = new_spool();
    for (size_t i = 0; i < 60; i++) {
        write_bytes(&spool, i % 7 * 20011);
        write_bytes(&spool, 3);
        if (i % 10 == 9)
            write_bytes(&spool, SPOOL_MEMORY + 5);
    }
    spool_end(&spool, false);
    uint64_t len = spool.len;
    assert_true(spool.fd >= 0);
    assert_int_equal(spool_seal(&spool), 0);
    assert_holds(&spool, len);
    spool_free(&spool);
}

static void a_restart_forgets_everything(void **state) {
    (void)state;
    struct spool spool = new_spool();
    write_bytes(&spool, 3 * SPOOL_MEMORY);
    spool_end(&spool, true);
    assert_int_equal(spool_restart(&spool), 0);
    assert_int_equal(spool.lines + spool.events + spool.len + spool.whole, 0);
    write_bytes(&spool, 10);
    spool_end(&spool, true);
    assert_int_equal(spool_seal(&spool), 0);
    assert_int_equal(spool.lines, 1);
    assert_holds(&spool, 10);
    spool_free(&spool);
}

static void what_cannot_be_saved_is_told(void **state) {
    (void)state;
    static const size_t lens[] = {1, 3 * SPOOL_PIECE, 3 * SPOOL_MEMORY};
    for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
        struct spool spool = new_spool();
        struct file_sink sink = {.fd = open("/dev/null", O_RDONLY | O_CLOEXEC)};
        write_bytes(&spool, lens[i]);
        assert_int_equal(spool_save(&spool, &sink), -EBADF);
        assert_int_equal(sink.offset, 0);
        close(sink.fd);
        spool_free(&spool);
    }
}

/* What fits is written, also of a piece. */
static void a_disk_that_fills_up_takes_what_fits(void **state) {
    (void)state;
    struct rlimit before, limit;
    struct spool spool = new_spool();
    struct file_sink sink = {.fd = memfd_create("saved", MFD_CLOEXEC)};
    signal(SIGXFSZ, SIG_IGN);
    write_bytes(&spool, 5 * SPOOL_PIECE);
    getrlimit(RLIMIT_FSIZE, &before);
    limit = (struct rlimit){2 * SPOOL_PIECE + 4096, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_int_equal(spool_save(&spool, &sink), -EFBIG);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(sink.offset, 2 * SPOOL_PIECE + 4096);
    close(sink.fd);
    assert_saves(&spool, 5 * SPOOL_PIECE);
    spool_free(&spool);
}

static void a_full_disk_is_told(void **state) {
    (void)state;
    struct rlimit before, limit;
    uint8_t *bytes = calloc(1, 3 * SPOOL_MEMORY);
    assert_non_null(bytes);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    limit = (struct rlimit){2 * SPOOL_MEMORY, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    struct spool spool = new_spool();
    assert_int_equal(spool_write(&spool, bytes, 3 * SPOOL_MEMORY), -EFBIG);
    assert_int_equal(spool_restart(&spool), 0);
    setrlimit(RLIMIT_FSIZE, &before);
    write_bytes(&spool, 5);
    spool_end(&spool, true);
    assert_int_equal(spool_seal(&spool), 0);
    assert_holds(&spool, 5);
    spool_free(&spool);
    free(bytes);
}

static void a_folder_that_is_gone_is_told(void **state) {
    (void)state;
    struct spool spool;
    uint8_t byte = 0;
    spool_init(&spool, -1, &stock);
    assert_int_equal(spool_write(&spool, &byte, 1), 0);
    uint8_t *bytes = calloc(1, SPOOL_MEMORY + 1);
    assert_non_null(bytes);
    assert_int_equal(spool_write(&spool, bytes, SPOOL_MEMORY + 1), -EBADF);
    spool_free(&spool);
    free(bytes);
}

/* What one spool has, another has not; it is used again when it is given back. */
static void the_stock_is_kept(void **state) {
    (void)state;
    struct spool_stock small;
    struct spool first, second;
    spool_stock_init(&small, 3);
    spool_init(&first, folder, &small);
    spool_init(&second, folder, &small);
    write_bytes(&first, 3 * SPOOL_PIECE);
    assert_true(first.fd < 0);
    write_bytes(&second, 1);
    assert_true(second.fd >= 0);
    assert_saves(&second, 1);
    write_bytes(&first, 1);
    assert_true(first.fd >= 0);
    assert_int_equal(first.count, 1);
    assert_saves(&first, 3 * SPOOL_PIECE + 1);
    write_bytes(&second, 3);
    assert_int_equal(second.count, 1);
    write_bytes(&second, SPOOL_PIECE);
    assert_int_equal(second.filed, SPOOL_PIECE + 1);
    assert_saves(&second, SPOOL_PIECE + 4);
    spool_free(&first);
    spool_free(&second);
    spool_init(&first, folder, &small);
    write_bytes(&first, 3 * SPOOL_PIECE);
    assert_true(first.fd < 0);
    assert_saves(&first, 3 * SPOOL_PIECE);
    spool_free(&first);
    spool_stock_free(&small);
}

/* A large object's small writes are gathered in one piece, and the others left for others. */
static void beside_a_file_one_piece_is_used(void **state) {
    (void)state;
    struct spool spool = new_spool();
    int writes = 2 * SPOOL_MEMORY / 1500;
    for (int i = 0; i < writes; i++) {
        write_bytes(&spool, 1500);
        assert_true(spool.fd < 0 ? spool.len <= SPOOL_MEMORY : spool.count == 1);
    }
    assert_true(spool.len - spool.filed <= SPOOL_PIECE);
    assert_true(spool.fd >= 0);
    assert_saves(&spool, (uint64_t)writes * 1500);
    spool_free(&spool);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_spool_holds_nothing),
        cmocka_unit_test(lines_and_events_are_counted),
        cmocka_unit_test(what_is_no_whole_line_is_cut),
        cmocka_unit_test(small_and_large_writes_keep_their_order),
        cmocka_unit_test(a_restart_forgets_everything),
        cmocka_unit_test(what_cannot_be_saved_is_told),
        cmocka_unit_test(a_disk_that_fills_up_takes_what_fits),
        cmocka_unit_test(a_full_disk_is_told),
        cmocka_unit_test(a_folder_that_is_gone_is_told),
        cmocka_unit_test(the_stock_is_kept),
        cmocka_unit_test(beside_a_file_one_piece_is_used),
    };
    return cmocka_run_group_tests(tests, open_folder, close_folder);
}
