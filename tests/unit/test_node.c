/* Inode numbers: a function of the path that can be read back, and nothing else is one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <maciefs/node.h>
#include <stdlib.h>

static bool is_same(const struct node *a, const struct node *b) {
    return a->kind == b->kind && a->hour == b->hour && a->depth == b->depth && a->hash == b->hash;
}

static const hour_t HOURS[] = {
    1u << 14 | 1u << 10 | 1u << 5,           /* 0001/01/01/00 */
    8191u << 14 | 12u << 10 | 31u << 5 | 23, /* the last */
    2024u << 14 | 2u << 10 | 29u << 5,       /* of a leap year */
    2026u << 14 | 11u << 10 | 24u << 5 | 5,  2026u << 14 | 11u << 10 | 24u << 5,
    2026u << 14 | 1u << 10 | 1u << 5,
};
enum { HOUR_COUNT = sizeof HOURS / sizeof *HOURS };

static hour_t folder_of(hour_t hour, unsigned depth) {
    return depth == 1   ? hour_pack(hour_year(hour), 0, 0, 0)
           : depth == 2 ? hour_pack(hour_year(hour), hour_month(hour), 0, 0)
           : depth == 3 ? hour_pack(hour_year(hour), hour_month(hour), hour_day(hour), 0)
           : depth == 4 ? hour
                        : 0;
}

/* Every kind of node there is, for the hours above. */
static size_t all_nodes(struct node *ret) {
    size_t n = 0;
    ret[n++] = (struct node){.kind = NODE_ROOT};
    ret[n++] = (struct node){.kind = NODE_META};
    ret[n++] = (struct node){.kind = NODE_STATUS};
    ret[n++] = (struct node){.kind = NODE_METRICS};
    ret[n++] = (struct node){.kind = NODE_OBJECTS};
    ret[n++] = (struct node){.kind = NODE_WAZUH};
    for (size_t i = 0; i < HOUR_COUNT; i++) {
        for (unsigned depth = 1; depth <= HOUR_DEPTH; depth++) {
            hour_t folder = folder_of(HOURS[i], depth);
            ret[n++] = (struct node){NODE_TREE, folder, depth, 0};
            ret[n++] = (struct node){NODE_OBJECTS, folder, depth, 0};
        }
        ret[n++] = (struct node){.kind = NODE_LOG, .hour = HOURS[i]};
        ret[n++] = (struct node){.kind = NODE_WAZUH_LOG, .hour = HOURS[i]};
        ret[n++] = (struct node){.kind = NODE_OBJECT, .hour = HOURS[i], .hash = node_hash("a")};
        ret[n++] = (struct node){.kind = NODE_OBJECT, .hour = HOURS[i], .hash = node_hash("b")};
        ret[n++] = (struct node){.kind = NODE_OBJECT, .hour = HOURS[i], .hash = 1};
        ret[n++] =
            (struct node){.kind = NODE_OBJECT, .hour = HOURS[i], .hash = (UINT64_C(1) << 36) - 1};
    }
    return n;
}

static void ids_come_back(void **state) {
    (void)state;
    struct node nodes[200], node;
    size_t count = all_nodes(nodes);
    for (size_t i = 0; i < count; i++) {
        assert_true(node_of_id(node_id(&nodes[i]), &node));
        assert_true(is_same(&node, &nodes[i]));
    }
}

static void ids_are_distinct_and_small(void **state) {
    (void)state;
    struct node nodes[200];
    size_t count = all_nodes(nodes);
    for (size_t i = 0; i < count; i++) {
        uint64_t id = node_id(&nodes[i]);
        assert_true(id != 0);
        if (nodes[i].kind == NODE_OBJECT)
            assert_true(id >> 63 == 1);
        else
            assert_true(id < UINT64_C(1) << 31);
        for (size_t j = 0; j < i; j++)
            assert_true(is_same(&nodes[i], &nodes[j]) || node_id(&nodes[j]) != id);
    }
}

/* They are on disks and in tools' state: another number would be another file. */
static void ids_stay_what_they_are(void **state) {
    (void)state;
    assert_int_equal(node_id(&(struct node){.kind = NODE_ROOT}), 1);
    assert_int_equal(node_id(&(struct node){.kind = NODE_LOG, .hour = HOURS[3]}),
                     UINT64_C(5) << 27 | HOURS[3]);
    assert_int_equal(node_id(&(struct node){NODE_TREE, HOURS[4], 4, 0}),
                     UINT64_C(4) << 27 | HOURS[4]);
    const uint64_t fnv = UINT64_C(0xaf63dc4c8601ec8c); /* FNV-1a of "a" */
    assert_int_equal(node_hash("a"), (fnv ^ fnv >> 36) & ((UINT64_C(1) << 36) - 1));
}

static void what_no_path_has_is_no_id(void **state) {
    (void)state;
    static const uint64_t ids[] = {
        0,
        7,
        8,
        UINT64_C(1) << 27,                           /* no year 0 */
        UINT64_C(1) << 27 | 2026u << 14 | 1,         /* a year with an hour */
        UINT64_C(2) << 27 | 2026u << 14 | 13u << 10, /* month 13 */
        UINT64_C(2) << 27 | 2026u << 14,             /* month 0 */
        UINT64_C(3) << 27 | 2025u << 14 | 2u << 10 | 29u << 5,
        UINT64_C(4) << 27 | 2026u << 14 | 1u << 10 | 1u << 5 | 24,
        UINT64_C(5) << 27,
        UINT64_C(5) << 27 | 2026u << 14 | 1u << 10, /* day 0 */
        UINT64_C(6) << 27 | 1,
        UINT64_C(10) << 27 | 2026u << 14 | 1u << 10, /* day 0 */
        UINT64_C(11) << 27 | 2026u << 14 | 1u << 10 | 1u << 5,
        UINT64_C(15) << 27,
        UINT64_C(1) << 31,
        UINT64_C(1) << 32 | 1,
        UINT64_C(1) << 62,
        UINT64_C(1) << 63,     /* no hour, no hash */
        UINT64_C(1) << 63 | 5, /* no hour */
        UINT64_C(1) << 63 | (uint64_t)(2026u << 14 | 1u << 10 | 1u << 5) << 36, /* no hash */
        UINT64_MAX,
    };
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        struct node node = {.kind = NODE_META};
        assert_false(node_of_id(ids[i], &node));
        assert_int_equal(node.kind, NODE_META);
    }
}

/* Whatever is taken for an id is the id of what it is taken for. */
static void random_ids_agree_with_themselves(void **state) {
    (void)state;
    uint64_t random = 1, taken = 0;
    for (int i = 0; i < 2000000; i++) {
        struct node node;
        random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        uint64_t id = i % 2 ? random : random >> 33;
        if (node_of_id(id, &node)) {
            assert_true(node_id(&node) == id);
            taken++;
        }
    }
    assert_true(taken > 1000);
}

static void hashes_are_of_36_bits(void **state) {
    (void)state;
    char name[3] = "";
    for (int a = 1; a < 256; a++)
        for (int b = 0; b < 256; b++) {
            name[0] = (char)a;
            name[1] = (char)b;
            uint64_t hash = node_hash(name);
            assert_true(hash > 0 && hash < UINT64_C(1) << 36);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_come_back),
        cmocka_unit_test(ids_are_distinct_and_small),
        cmocka_unit_test(ids_stay_what_they_are),
        cmocka_unit_test(what_no_path_has_is_no_id),
        cmocka_unit_test(random_ids_agree_with_themselves),
        cmocka_unit_test(hashes_are_of_36_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
