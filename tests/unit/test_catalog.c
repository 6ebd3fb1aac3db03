/* The catalog: hours cut out of pages, folders, and what is known without asking. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "scripted_source.h"

#include <maciefs/catalog.h>
#include <maciefs/clock.h>
#include <unistd.h>

#define HOUR hour_pack(2026, 11, 24, 5)
#define DAY_MS 86400000

static struct scripted source;
static struct counters counters;
static struct catalog *catalog;

static int begin(void **state) {
    (void)state;
    scripted_init(&source, 1795500000);
    counters = (struct counters){0};
    catalog = catalog_new(&source.base, DAY_MS, &counters);
    return catalog == NULL;
}

static int end(void **state) {
    (void)state;
    catalog_free(catalog);
    scripted_free(&source);
    return 0;
}

static void put(const char *key) {
    scripted_put(&source, key, "{}", 1795490000, "e");
}

static void new_catalog(unsigned ttl_ms) {
    catalog_free(catalog);
    catalog = catalog_new(&source.base, ttl_ms, &counters);
    assert_non_null(catalog);
}

/* Until what was listed is older than no time at all. */
static void let_time_pass(void) {
    for (int64_t from = clock_ms(); clock_ms() < from + 2;)
        usleep(500);
}

/* -- Sweeps ------------------------------------------------------------------------------------ */

/* "05:a,b 06:c" for the hours that were visited. */
struct visits {
    char text[512];
    unsigned count;
    unsigned stop; /* the visit that ends it; 0 for none */
};

static int note_visit(void *ctx, struct hour_listing *listing) {
    struct visits *visits = ctx;
    size_t len = strlen(visits->text);
    len += (size_t)snprintf(visits->text + len, sizeof visits->text - len,
                            "%s%02u:", len ? " " : "", hour_hour(listing->hour));
    for (size_t i = 0; i < listing->count; i++)
        len += (size_t)snprintf(visits->text + len, sizeof visits->text - len, "%s%s", i ? "," : "",
                                listing->objects[i].key + HOUR_PATH_LEN + 1);
    return ++visits->count == visits->stop ? -EXDEV : 0;
}

static void put_day(void) {
    static const char *const keys[] = {
        "2025/12/31/23/old", "2026/11/24/04/x", "2026/11/24/05/",    "2026/11/24/05/a",
        "2026/11/24/05/b",   "2026/11/24/05x",  "2026/11/24/06/",    "2026/11/24/07/c",
        "2026/11/24/07/d/e", "2026/11/24/07/f", "2026/11/24/08/g",   "2026/11/24/24/no",
        "2026/11/24/9/no",   "2026/11/25/00/h", "processing-failed", "zebra/2026/11/24/05/no",
    };
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        put(keys[i]);
}

static void hours_are_whole_whatever_the_pages(void **state) {
    (void)state;
    put_day();
    for (source.page = 1; source.page < 20; source.page++) {
        struct visits visits = {0};
        new_catalog(DAY_MS);
        assert_int_equal(catalog_sweep(catalog, HOUR, hour_add(HOUR, 3), note_visit, &visits, NULL),
                         0);
        assert_string_equal(visits.text, "05:a,b 07:c,d/e,f 08:g");
        visits = (struct visits){0};
        assert_int_equal(
            catalog_sweep(catalog, HOUR, hour_add(HOUR, 40), note_visit, &visits, NULL), 0);
        assert_string_equal(visits.text, "05:a,b 07:c,d/e,f 08:g 00:h");
        visits = (struct visits){0};
        assert_int_equal(catalog_sweep(catalog, HOUR, hour_add(HOUR, 2), note_visit, &visits, NULL),
                         0);
        assert_string_equal(visits.text, "05:a,b 07:c,d/e,f");
    }
}

static void the_visitors_value_ends_the_sweep(void **state) {
    (void)state;
    struct visits visits = {.stop = 2};
    put_day();
    assert_int_equal(catalog_sweep(catalog, HOUR, hour_add(HOUR, 9), note_visit, &visits, NULL),
                     -EXDEV);
    assert_int_equal(visits.count, 2);
}

static void a_page_that_fails_ends_the_sweep(void **state) {
    (void)state;
    struct visits visits = {0};
    struct fault fault;
    put_day();
    source.page = 2; /* "" a | b x | "" c | … */
    source.fail_call = 4;
    source.fail_err = -ENETDOWN;
    assert_int_equal(catalog_sweep(catalog, HOUR, hour_add(HOUR, 9), note_visit, &visits, &fault),
                     -ENETDOWN);
    assert_string_equal(visits.text, "05:a,b");
    assert_non_null(strstr(fault.text, "the script says"));
    assert_null(catalog_known(catalog, hour_add(HOUR, 2), CATALOG_ANY_AGE));
}

static void foreign_keys_behind_the_hours_are_not_walked(void **state) {
    (void)state;
    struct hour_listing *listing;
    struct visits visits = {0};
    char key[32];
    put("2026/11/24/05/a");
    for (int i = 0; i < 500; i++) {
        snprintf(key, sizeof key, "logs/%04d", i);
        put(key);
    }
    source.page = 10;
    assert_int_equal(catalog_objects(catalog, HOUR, 0, &listing, NULL, NULL), 0);
    assert_int_equal(listing->count, 1);
    catalog_release(catalog, listing);
    assert_int_equal(source.lists, 1);
    /* Years that begin alike have no prefix to keep the rest away. */
    assert_int_equal(catalog_sweep(catalog, hour_pack(1999, 1, 1, 0), hour_pack(2027, 1, 1, 0),
                                   note_visit, &visits, NULL),
                     0);
    assert_string_equal(visits.text, "05:a");
    assert_int_equal(source.lists, 2);
}

static void the_clock_is_that_of_the_first_page(void **state) {
    (void)state;
    struct hour_listing *listing;
    put_day();
    source.page = 1;
    source.now_step = 10;
    assert_int_equal(catalog_objects(catalog, hour_add(HOUR, 2), 0, &listing, NULL, NULL), 0);
    assert_int_equal(listing->now, 1795500000);
    assert_int_equal(listing->count, 3);
    catalog_release(catalog, listing);
}

/* -- Hours ------------------------------------------------------------------------------------- */

static size_t count_of(hour_t hour, unsigned max_age_ms) {
    struct hour_listing *listing;
    assert_int_equal(catalog_objects(catalog, hour, max_age_ms, &listing, NULL, NULL), 0);
    assert_int_equal(listing->hour, hour);
    size_t count = listing->count;
    catalog_release(catalog, listing);
    return count;
}

static void objects_are_as_they_were_listed(void **state) {
    (void)state;
    struct hour_listing *listing;
    scripted_put(&source, "2026/11/24/05/b", "12345", 7, "etag-b");
    scripted_put(&source, "2026/11/24/05/a", "", INT64_MAX, "");
    assert_int_equal(catalog_objects(catalog, HOUR, 0, &listing, NULL, NULL), 0);
    assert_int_equal(listing->count, 2);
    assert_string_equal(listing->objects[0].key, "2026/11/24/05/a");
    assert_int_equal(listing->objects[0].modified, INT64_MAX);
    assert_string_equal(listing->objects[1].key, "2026/11/24/05/b");
    assert_int_equal(listing->objects[1].size, 5);
    assert_string_equal(listing->objects[1].etag, "etag-b");
    /* It outlives what the catalog keeps. */
    put("2026/11/24/05/c");
    let_time_pass();
    assert_int_equal(count_of(HOUR, 0), 3);
    assert_string_equal(listing->objects[1].key, "2026/11/24/05/b");
    catalog_release(catalog, listing);
    catalog_release(catalog, NULL);
}

static void other_hours_of_the_page_come_along(void **state) {
    (void)state;
    put_day();
    assert_int_equal(count_of(HOUR, DAY_MS), 2);
    assert_int_equal(count_of(hour_add(HOUR, 2), DAY_MS), 3);
    assert_int_equal(count_of(hour_add(HOUR, 3), DAY_MS), 1);
    assert_int_equal(count_of(hour_pack(2026, 11, 25, 0), DAY_MS), 1);
    assert_int_equal(source.lists, 1);
    assert_int_equal(counters.lists, 1);
}

static void an_hour_at_a_pages_end_is_asked_for(void **state) {
    (void)state;
    put_day();
    source.page = 6; /* … the page ends at 07/c */
    assert_int_equal(count_of(HOUR, DAY_MS), 2);
    assert_int_equal(source.lists, 1);
    assert_int_equal(count_of(hour_add(HOUR, 2), DAY_MS), 3);
    assert_int_equal(source.lists, 2);
}

static void empty_hours_are_known_as_well(void **state) {
    (void)state;
    put_day();
    assert_int_equal(count_of(hour_add(HOUR, 1), DAY_MS), 0); /* a marker alone */
    assert_int_equal(count_of(hour_add(HOUR, 8), DAY_MS), 0);
    assert_int_equal(count_of(hour_pack(2030, 1, 1, 0), DAY_MS), 0);
    unsigned lists = source.lists;
    assert_int_equal(count_of(hour_add(HOUR, 1), DAY_MS), 0);
    assert_int_equal(count_of(hour_pack(2030, 1, 1, 0), DAY_MS), 0);
    assert_int_equal(source.lists, lists);
}

static void old_listings_are_made_anew(void **state) {
    (void)state;
    put("2026/11/24/05/a");
    assert_int_equal(count_of(HOUR, DAY_MS), 1);
    put("2026/11/24/05/b");
    assert_int_equal(count_of(HOUR, DAY_MS), 1);
    let_time_pass();
    assert_int_equal(count_of(HOUR, 0), 2);
    assert_int_equal(source.lists, 2);
}

/* A listing that left something out is an old one a second later. */
static void what_was_left_out_is_asked_for_soon(void **state) {
    (void)state;
    static const unsigned nearly = DAY_MS - 2000;
    put("2026/11/24/05/a");
    assert_int_equal(count_of(HOUR, DAY_MS), 1);
    assert_int_equal(count_of(HOUR, nearly), 1);
    assert_int_equal(source.lists, 1);
    new_catalog(DAY_MS);
    source.unsettled = true;
    assert_int_equal(count_of(HOUR, DAY_MS), 1);
    assert_int_equal(count_of(HOUR, DAY_MS), 1);
    assert_int_equal(source.lists, 2);
    source.unsettled = false;
    put("2026/11/24/05/b");
    assert_int_equal(count_of(HOUR, nearly), 2);
    assert_int_equal(count_of(HOUR, nearly), 2);
    assert_int_equal(source.lists, 3);
}

/* So is one with an object of the second in which it was made. */
static void what_others_may_go_before_is_asked_for_soon(void **state) {
    (void)state;
    static const int64_t times[] = {-1, 0, 1, 2};
    static const unsigned lists[] = {1, 2, 2, 1};
    for (size_t i = 0; i < 4; i++) {
        new_catalog(DAY_MS);
        source.lists = 0;
        scripted_put(&source, "2026/11/24/05/a", "{}", source.now + times[i], "e");
        assert_int_equal(count_of(HOUR, DAY_MS), 1);
        assert_int_equal(count_of(HOUR, DAY_MS - 2000), 1);
        assert_int_equal(source.lists, lists[i]);
    }
}

static void without_a_source_what_is_known_is_known(void **state) {
    (void)state;
    struct hour_listing *listing;
    struct fault fault;
    put("2026/11/24/05/a");
    assert_int_equal(count_of(HOUR, 0), 1);
    let_time_pass();
    source.err = -ENETDOWN;
    assert_int_equal(catalog_objects(catalog, HOUR, 0, &listing, NULL, &fault), -ENETDOWN);
    assert_null(catalog_known(catalog, HOUR, 0));
    assert_null(catalog_known(catalog, hour_add(HOUR, 1), CATALOG_ANY_AGE));
    listing = catalog_known(catalog, HOUR, CATALOG_ANY_AGE);
    assert_non_null(listing);
    assert_int_equal(listing->count, 1);
    catalog_release(catalog, listing);
}

/* Objects with the longest keys, some 1.2 kB each. */
static void put_long(hour_t hour, size_t count) {
    char key[OBJECT_KEY_MAX + 1];
    memset(key, 'k', OBJECT_KEY_MAX);
    key[OBJECT_KEY_MAX] = '\0';
    hour_path(hour, HOUR_DEPTH, key);
    key[HOUR_PATH_LEN] = '/';
    for (size_t i = 0; i < count; i++) {
        char number[24];
        snprintf(number, sizeof number, "%08zu", i);
        memcpy(key + HOUR_PATH_LEN + 1, number, 8);
        put(key);
    }
}

static void what_is_kept_is_bounded(void **state) {
    (void)state;
    enum { HOURS = 40 };
    unsigned known = 0;
    for (int i = 0; i < HOURS; i++)
        put_long(hour_add(HOUR, i), 400);
    struct visits visits = {.text = ""};
    assert_int_equal(catalog_sweep(catalog, HOUR, hour_add(HOUR, HOURS), NULL, &visits, NULL), 0);
    for (int i = 0; i < HOURS; i++) {
        struct hour_listing *listing = catalog_known(catalog, hour_add(HOUR, i), CATALOG_ANY_AGE);
        assert_true(listing || i < HOURS / 2);
        known += listing != NULL;
        catalog_release(catalog, listing);
    }
    assert_true(known >= HOURS / 2 && known < HOURS);
    /* The oldest were forgotten: they are listed again. */
    assert_int_equal(count_of(HOUR, DAY_MS), 400);
}

static void an_hour_larger_than_the_bound_is_whole(void **state) {
    (void)state;
    put_long(HOUR, 11500);
    put_long(hour_add(HOUR, 1), 3);
    put_long(hour_add(HOUR, 2), 3);
    assert_int_equal(count_of(HOUR, DAY_MS), 11500);
    struct hour_listing *listing = catalog_known(catalog, HOUR, CATALOG_ANY_AGE);
    assert_non_null(listing);
    assert_int_equal(listing->count, 11500);
    catalog_release(catalog, listing);
}

/* -- Folders ----------------------------------------------------------------------------------- */

static uint32_t mask_of(hour_t folder, unsigned depth, bool *ret_fresh) {
    struct children children = {0};
    assert_int_equal(catalog_children(catalog, folder, depth, &children, ret_fresh), 0);
    uint32_t mask = children.mask;
    children_free(&children);
    return mask;
}

static void folders_are_told_from_other_names(void **state) {
    (void)state;
    struct children children = {0};
    hour_t day = hour_pack(2026, 11, 24, 0), year;
    bool fresh;
    put_day();
    put("0999/x");
    put("99999/x");
    put("2026/11/24/5/x");
    put("2026/11/24/99/x");
    put("2026/11/24/5a/x");
    put("2026/11/31/00/x");
    put("2026/11/24x");
    put("2026/1/x");
    put("2026/11/24//x");
    for (source.page = 1; source.page < 12; source.page++) {
        new_catalog(DAY_MS);
        assert_int_equal(catalog_list_folder(catalog, day, 3, NULL), 0);
        assert_int_equal(mask_of(day, 3, &fresh), 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8);
        assert_true(fresh);
        assert_int_equal(catalog_list_folder(catalog, hour_pack(2026, 11, 0, 0), 2, NULL), 0);
        assert_int_equal(mask_of(hour_pack(2026, 11, 0, 0), 2, &fresh), 1 << 24 | 1 << 25);
        assert_int_equal(catalog_list_folder(catalog, hour_pack(2026, 0, 0, 0), 1, NULL), 0);
        assert_int_equal(mask_of(hour_pack(2026, 0, 0, 0), 1, &fresh), 1 << 11);
    }
    assert_int_equal(catalog_list_folder(catalog, 0, 0, NULL), 0);
    assert_int_equal(catalog_children(catalog, 0, 0, &children, &fresh), 0);
    static const unsigned years[] = {999, 2025, 2026};
    for (size_t i = 0; i < 3; i++) {
        assert_true(children_at(&children, 0, 0, i, &year));
        assert_int_equal(year, hour_pack(years[i], 0, 0, 0));
        assert_true(children_has(&children, year, 0));
    }
    assert_false(children_at(&children, 0, 0, 3, &year));
    assert_false(children_has(&children, hour_pack(2024, 0, 0, 0), 0));
    children_free(&children);
}

static void folders_age(void **state) {
    (void)state;
    hour_t day = hour_pack(2026, 11, 24, 0);
    bool fresh = true;
    put_day();
    new_catalog(0);
    assert_int_equal(mask_of(day, 3, &fresh), 0);
    assert_false(fresh);
    assert_int_equal(catalog_list_folder(catalog, day, 3, NULL), 0);
    assert_int_not_equal(mask_of(day, 3, &fresh), 0);
    assert_false(fresh);
}

static void a_folder_with_something_left_out_ages_soon(void **state) {
    (void)state;
    hour_t day = hour_pack(2026, 11, 24, 0);
    bool fresh;
    put_day();
    source.unsettled = true;
    assert_int_equal(catalog_list_folder(catalog, day, 3, NULL), 0);
    mask_of(day, 3, &fresh);
    assert_true(fresh);
    for (int64_t from = clock_ms(); fresh && clock_ms() < from + 20000; usleep(10000))
        mask_of(day, 3, &fresh);
    assert_false(fresh);
    source.unsettled = false;
    assert_int_equal(catalog_list_folder(catalog, day, 3, NULL), 0);
    usleep(1100000);
    mask_of(day, 3, &fresh);
    assert_true(fresh);
}

static void a_folder_that_cannot_be_listed_stays_as_it_was(void **state) {
    (void)state;
    hour_t day = hour_pack(2026, 11, 24, 0);
    struct fault fault;
    bool fresh;
    put_day();
    assert_int_equal(catalog_list_folder(catalog, day, 3, NULL), 0);
    uint32_t before = mask_of(day, 3, &fresh);
    put("2026/11/24/20/x");
    source.page = 2;
    source.fail_call = source.calls + 2;
    source.fail_err = -ETIMEDOUT;
    assert_int_equal(catalog_list_folder(catalog, day, 3, &fault), -ETIMEDOUT);
    assert_int_equal(mask_of(day, 3, &fresh), before);
    assert_int_equal(catalog_list_folder(catalog, day, 3, &fault), 0);
    assert_int_equal(mask_of(day, 3, &fresh), before | 1u << 20);
}

/* -- Months ------------------------------------------------------------------------------------ */

#define MONTH hour_pack(2026, 11, 0, 0)

/* Hours of two days, with some objects each, and what belongs to neither. */
static void put_month(void) {
    static const char *const keys[] = {
        "2026/10/31/23/macie-1-a", "2026/11/03/07/macie-1-a", "2026/11/03/07/macie-1-b",
        "2026/11/03/09/macie-1-a", "2026/11/03/09/other-2-a", "2026/11/30/00/plain",
        "2026/11/99/00/macie-1-a", "2026/12/01/00/macie-1-a",
    };
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        put(keys[i]);
}

static void assert_month(void) {
    bool fresh;
    assert_int_equal(mask_of(MONTH, 2, &fresh) & (1u << 3 | 1u << 30), 1u << 3 | 1u << 30);
    assert_true(fresh);
    assert_int_equal(mask_of(hour_pack(2026, 11, 3, 0), 3, &fresh), 1u << 7 | 1u << 9);
    assert_true(fresh);
    assert_int_equal(mask_of(hour_pack(2026, 11, 30, 0), 3, &fresh), 1u << 0);
    assert_true(fresh);
}

static void a_month_is_listed_with_its_hours(void **state) {
    (void)state;
    source.base.folds_any = true;
    put_month();
    for (source.page = 1; source.page < 9; source.page++) {
        new_catalog(DAY_MS);
        assert_int_equal(catalog_list_folder(catalog, MONTH, 2, NULL), 0);
        assert_month();
    }
    unsigned lists = source.lists;
    assert_int_equal(catalog_list_folder(catalog, MONTH, 2, NULL), 0);
    assert_int_equal(source.lists, lists + 1);
}

/* A day without hours is not asked for where its month was listed, but where that was long ago. */
static void a_month_tells_which_days_are_empty(void **state) {
    (void)state;
    bool fresh;
    source.base.folds_any = true;
    put_month();
    assert_int_equal(mask_of(hour_pack(2026, 11, 4, 0), 3, &fresh), 0);
    assert_false(fresh);
    assert_int_equal(catalog_list_folder(catalog, MONTH, 2, NULL), 0);
    assert_int_equal(mask_of(hour_pack(2026, 11, 4, 0), 3, &fresh), 0);
    assert_true(fresh);
    new_catalog(0);
    assert_int_equal(catalog_list_folder(catalog, MONTH, 2, NULL), 0);
    assert_int_equal(mask_of(hour_pack(2026, 11, 4, 0), 3, &fresh), 0);
    assert_false(fresh);
}

/* Its days are all that is known where it was listed by folders. */
static void a_month_by_folders_tells_nothing_of_days(void **state) {
    (void)state;
    bool fresh;
    put_month();
    assert_int_equal(catalog_list_folder(catalog, MONTH, 2, NULL), 0);
    assert_int_equal(mask_of(hour_pack(2026, 11, 4, 0), 3, &fresh), 0);
    assert_false(fresh);
}

static uint32_t days_by_folders(void) {
    bool fresh;
    assert_int_equal(catalog_list_folder(catalog, MONTH, 2, NULL), 0);
    return mask_of(MONTH, 2, &fresh);
}

/* Folder by folder from then on, without another try. */
static void assert_given_up(void) {
    unsigned lists = source.lists;
    assert_int_equal(days_by_folders(), 1u << 3 | 1u << 30);
    assert_int_equal(source.lists, lists + 1);
}

static void names_without_a_dash_are_listed_by_folders(void **state) {
    (void)state;
    source.base.folds_any = true;
    put("2026/11/30/00/plain");
    for (int i = 0; i < 200; i++) {
        char key[64];
        snprintf(key, sizeof key, "2026/11/03/%02d/%d", i % 24, i);
        put(key);
    }
    assert_int_equal(days_by_folders(), 1u << 3 | 1u << 30);
    assert_given_up();
}

static void a_source_that_cannot_fold_is_asked_by_folders(void **state) {
    (void)state;
    source.base.folds_any = true;
    put_month();
    source.fail_call = source.calls + 1;
    source.fail_err = -EINVAL;
    assert_int_equal(days_by_folders(), 1u << 3 | 1u << 30);
    assert_given_up();
}

static void a_source_that_is_away_may_fold_later(void **state) {
    (void)state;
    struct fault fault;
    source.base.folds_any = true;
    put_month();
    source.fail_call = source.calls + 1;
    source.fail_err = -ENETDOWN;
    assert_int_equal(catalog_list_folder(catalog, MONTH, 2, &fault), -ENETDOWN);
    assert_int_equal(catalog_list_folder(catalog, MONTH, 2, &fault), 0);
    assert_month();
}

/* As one server does. */
static void the_same_token_again_ends_it(void **state) {
    (void)state;
    source.base.folds_any = true;
    put_month();
    source.page = 1;
    source.token_stands = true;
    assert_int_equal(days_by_folders(), 1u << 3 | 1u << 30);
    source.page = 1000;
    assert_given_up();
}

static void children_come_in_order(void **state) {
    (void)state;
    struct children children = {0};
    hour_t child, day = hour_pack(2026, 11, 24, 0);
    static const unsigned hours[] = {0, 5, 23};
    for (size_t i = 3; i-- > 0;)
        assert_int_equal(children_add(&children, day | hours[i], 3), 0);
    for (size_t i = 0; i < 3; i++) {
        assert_true(children_at(&children, day, 3, i, &child));
        assert_int_equal(child, day | hours[i]);
    }
    assert_false(children_at(&children, day, 3, 3, &child));
    assert_false(children_has(&children, day | 6, 3));
    children_free(&children);
    assert_false(children_at(&children, hour_pack(2026, 0, 0, 0), 1, 0, &child));
    assert_int_equal(children_add(&children, hour_pack(2026, 12, 0, 0), 1), 0);
    assert_true(children_at(&children, hour_pack(2026, 0, 0, 0), 1, 0, &child));
    assert_int_equal(child, hour_pack(2026, 12, 0, 0));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(hours_are_whole_whatever_the_pages),
        TEST(the_visitors_value_ends_the_sweep),
        TEST(a_page_that_fails_ends_the_sweep),
        TEST(foreign_keys_behind_the_hours_are_not_walked),
        TEST(the_clock_is_that_of_the_first_page),
        TEST(objects_are_as_they_were_listed),
        TEST(other_hours_of_the_page_come_along),
        TEST(an_hour_at_a_pages_end_is_asked_for),
        TEST(empty_hours_are_known_as_well),
        TEST(old_listings_are_made_anew),
        TEST(what_was_left_out_is_asked_for_soon),
        TEST(what_others_may_go_before_is_asked_for_soon),
        TEST(without_a_source_what_is_known_is_known),
        TEST(what_is_kept_is_bounded),
        TEST(an_hour_larger_than_the_bound_is_whole),
        TEST(folders_are_told_from_other_names),
        TEST(folders_age),
        TEST(a_folder_with_something_left_out_ages_soon),
        TEST(a_month_is_listed_with_its_hours),
        TEST(a_month_tells_which_days_are_empty),
        TEST(a_month_by_folders_tells_nothing_of_days),
        TEST(names_without_a_dash_are_listed_by_folders),
        TEST(a_source_that_cannot_fold_is_asked_by_folders),
        TEST(a_source_that_is_away_may_fold_later),
        TEST(the_same_token_again_ends_it),
        TEST(a_folder_that_cannot_be_listed_stays_as_it_was),
        TEST(children_come_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
