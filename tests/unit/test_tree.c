/* What readers are given of a log, between its commit and its announcement. */
#include "store_kit.h"

#include <maciefs/tree.h>

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

/* 16 bytes committed and 8 announced, as when a server died between the two. */
static struct tree half_announced(void) {
    disk_append(&disk, HOUR, "a", "{\"a\":1}\n");
    disk_append(&disk, HOUR, "b", "{\"b\":2}\n");
    store_free(disk.store);
    disk.publishing.at[3].hour = HOUR;
    disk.publishing.at[3].announced = 8;
    disk_open_store(&disk);
    return (struct tree){.store = disk.store};
}

static ssize_t read_at(struct tree *tree, bool cached, uint64_t offset, char at[32]) {
    const struct node log = {.kind = NODE_LOG, .hour = HOUR};
    const struct reading reading = {.offset = offset, .len = 32, .cached = cached};
    struct tree_bytes bytes;
    int err = tree_read(tree, &log, &reading, &bytes, NULL);
    return err ? err : file_range_read(&bytes.file, at);
}

/* Who reads past the size that stat tells takes the file for one that was cut. */
static void readers_get_no_more_than_stat_tells(void **state) {
    (void)state;
    char at[32];
    struct tree tree = half_announced();
    assert_int_equal(disk_state(&disk, HOUR).size, 8);
    assert_int_equal(read_at(&tree, false, 0, at), 8);
    assert_int_equal(read_at(&tree, false, 5, at), 3);
    assert_int_equal(read_at(&tree, false, 8, at), 0);
    assert_int_equal(read_at(&tree, false, 12, at), 0);
    store_publish_rest(disk.store);
    assert_int_equal(read_at(&tree, false, 5, at), 11);
    assert_memory_equal(at, "1}\n{\"b\":2}\n", 11);
}

/* The kernel hides what is behind the size; a page that ended there would be zero behind it. */
static void pages_are_filled_with_all_there_is(void **state) {
    (void)state;
    char at[32];
    struct tree tree = half_announced();
    assert_int_equal(read_at(&tree, true, 0, at), 16);
    assert_memory_equal(at, "{\"a\":1}\n{\"b\":2}\n", 16);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(readers_get_no_more_than_stat_tells),
        TEST(pages_are_filled_with_all_there_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
