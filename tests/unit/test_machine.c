#include <maciefs/mounts.h>
#include <maciefs/program.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <stdio.h>

static void programs_are_found_in_the_order_of_folders(void **state) {
    char folder[] = "/tmp/maciefs-test-XXXXXX", folders[128], path[128], found[PATH_MAX];
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/sh", folder);
    snprintf(folders, sizeof folders, "relative::/nonexistent:%s:/bin", folder);
    assert_int_equal(mkdir(path, 0755), 0);
    assert_true(program_find("sh", folders, found));
    assert_string_equal(found, "/bin/sh");
    assert_int_equal(rmdir(path), 0);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fclose(file);
    assert_int_equal(chmod(path, 0644), 0);
    assert_true(program_find("sh", folders, found));
    assert_string_equal(found, "/bin/sh");
    assert_int_equal(chmod(path, 0755), 0);
    assert_true(program_find("sh", folders, found));
    assert_string_equal(found, path);
    assert_false(program_find("no-such-program", folders, found));
    assert_false(program_find("sh", "", found));
    unlink(path);
    rmdir(folder);
}

static void what_is_mounted_is_found_by_its_place(void **state) {
    struct mounted found;
    (void)state;
    assert_true(mounts_find("/proc", &found));
    assert_string_equal(found.type, "proc");
    assert_non_null(strchr(found.device, ':'));
    assert_true(found.source[0] != '\0');
    assert_false(mounts_find("/proc/", &found));
    assert_false(mounts_find("/nonexistent", &found));
}

static void paths_are_listed_with_escapes(void **state) {
    (void)state;
    char *listed = mounts_listed_path("/a b\\c\td\ne");
    assert_string_equal(listed, "/a\\040b\\134c\\011d\\012e");
    free(listed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(programs_are_found_in_the_order_of_folders),
        cmocka_unit_test(what_is_mounted_is_found_by_its_place),
        cmocka_unit_test(paths_are_listed_with_escapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
