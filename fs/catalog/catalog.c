#include <maciefs/catalog.h>

#include <maciefs/clock.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LISTINGS_BYTES (12u << 20) /* kept listings of hours */
#define FOLDERS_MAX 20000 /* kept folders: fifty years of days; then all are asked for anew */

/* The children of a folder as they were last listed. */
struct folder {
    hour_t folder;
    unsigned depth;
    int64_t listed;
    bool whole; /* its children's own were listed with it, so that all that have any are kept */
    struct children children;
};

/* How long a listing holds that left out what may be there a second later. */
#define UNSETTLED_MS 1000

/* How many hours a page is hoped to hold, for those who wait for one. */
#define PAGE_HOURS 48

/* A page of objects that is being listed. */
struct page_walk {
    hour_t first;
    struct page_walk *next;
};

struct catalog {
    pthread_mutex_t lock;
    pthread_cond_t walked;   /* some page was listed */
    struct page_walk *walks; /* those under way */
    struct source *source;
    struct counters *counters;
    unsigned ttl_ms;
    atomic_bool folds_not; /* the source folds keys at nothing but '/' */

    struct folder *folders;
    size_t folder_count, folder_cap;

    struct counted_listing *newest, *oldest;
    size_t bytes;
};

struct catalog *catalog_new(struct source *source, unsigned ttl_ms, struct counters *counters) {
    struct catalog *catalog = calloc(1, sizeof *catalog);
    if (!catalog)
        return NULL;
    pthread_mutex_init(&catalog->lock, NULL);
    pthread_cond_init(&catalog->walked, NULL);
    catalog->source = source;
    catalog->ttl_ms = ttl_ms;
    catalog->counters = counters;
    return catalog;
}

static void forget_folders(struct catalog *catalog) {
    for (size_t i = 0; i < catalog->folder_count; i++)
        children_free(&catalog->folders[i].children);
    catalog->folder_count = 0;
}

static int list(struct catalog *catalog, const struct list_query *query, struct listing *page,
                struct fault *fault) {
    atomic_fetch_add(&catalog->counters->lists, 1);
    return source_list(catalog->source, query, page, fault);
}

/* The token for the page behind this one, from now on the caller's. */
static char *take_token(struct listing *page) {
    char *token = page->next;
    page->next = NULL;
    return token;
}

/* What a source lists may be more than can be kept. */
static int cannot_keep(const struct catalog *catalog, int err, struct fault *fault) {
    return fault_set(fault, err, "what is listed in %s cannot be kept: %s", catalog->source->name,
                     strerror(-err));
}

void catalog_free(struct catalog *catalog) {
    if (!catalog)
        return;
    forget_folders(catalog);
    free(catalog->folders);
    for (struct counted_listing *at = catalog->newest, *older; at; at = older) {
        older = at->older;
        free(at);
    }
    pthread_cond_destroy(&catalog->walked);
    pthread_mutex_destroy(&catalog->lock);
    free(catalog);
}

/* "2026/11/24/", as keys begin in it; "" for the root. */
static void folder_prefix(hour_t folder, unsigned depth, char ret[HOUR_PATH_LEN + 2]) {
    char path[HOUR_PATH_LEN + 1];
    hour_path(folder, depth, path);
    snprintf(ret, HOUR_PATH_LEN + 2, "%s%s", path, depth ? "/" : "");
}

/* -- Folders ----------------------------------------------------------------------------------- */

static struct folder *find_folder(struct catalog *catalog, hour_t folder, unsigned depth) {
    for (size_t i = 0; i < catalog->folder_count; i++)
        if (catalog->folders[i].folder == folder && catalog->folders[i].depth == depth)
            return &catalog->folders[i];
    return NULL;
}

/* As of when a listing is to be taken that is made now. */
static int64_t listed_now(const struct catalog *catalog, bool unsettled) {
    unsigned age = unsettled && catalog->ttl_ms > UNSETTLED_MS ? catalog->ttl_ms - UNSETTLED_MS : 0;
    return clock_ms() - age;
}

static bool is_fresh(const struct catalog *catalog, const struct folder *known) {
    return known && clock_ms() - known->listed < (int64_t)catalog->ttl_ms;
}

static int add_all(struct children *to, const struct children *from, hour_t folder,
                   unsigned depth) {
    hour_t child;
    int err = 0;
    for (size_t n = 0; !err && children_at(from, folder, depth, n, &child); n++)
        err = children_add(to, child, depth);
    return err;
}

/* Adds the folders of one page that are years, months, days or hours: "2026/11/24/" and so on. */
static int take_folders(const struct listing *page, hour_t folder, unsigned depth,
                        size_t prefix_len, struct children *children) {
    int err = 0;
    for (size_t i = 0; !err && i < page->folder_count; i++) {
        char name[8];
        const char *key = page->folders[i] + prefix_len;
        size_t len = strlen(key);
        hour_t child;
        if (len < 2 || len > sizeof name)
            continue;
        memcpy(name, key, len - 1);
        name[len - 1] = '\0';
        if (hour_child(folder, depth, name, &child))
            err = children_add(children, child, depth);
    }
    return err;
}

static int list_folders(struct catalog *catalog, hour_t folder, unsigned depth,
                        struct children *children, bool *ret_unsettled, struct fault *fault) {
    char prefix[HOUR_PATH_LEN + 2];
    char *token = NULL;
    int err;
    folder_prefix(folder, depth, prefix);
    do {
        struct listing page = {0};
        const struct list_query query = {.prefix = prefix, .token = token, .fold = '/'};
        err = list(catalog, &query, &page, fault);
        if (!err && take_folders(&page, folder, depth, strlen(prefix), children) < 0)
            err = cannot_keep(catalog, -ENOMEM, fault);
        *ret_unsettled = *ret_unsettled || page.unsettled;
        free(token);
        token = err ? NULL : take_token(&page);
        listing_free(&page);
    } while (token);
    return err;
}

/* Keeps the answer, which becomes the catalog's. Without memory it is just not kept. */
static void keep_folder(struct catalog *catalog, hour_t folder, unsigned depth, bool whole,
                        int64_t listed, struct children *children) {
    struct folder *known = find_folder(catalog, folder, depth);
    if (!known && catalog->folder_count == FOLDERS_MAX)
        forget_folders(catalog);
    if (!known && catalog->folder_count == catalog->folder_cap) {
        size_t cap = catalog->folder_cap ? catalog->folder_cap * 2 : 64;
        struct folder *folders = realloc(catalog->folders, cap * sizeof *folders);
        if (!folders) {
            children_free(children);
            return;
        }
        catalog->folders = folders;
        catalog->folder_cap = cap;
    }
    if (known)
        children_free(&known->children);
    else
        known = &catalog->folders[catalog->folder_count++];
    *known = (struct folder){folder, depth, listed, whole, *children};
}

/*
 * A month's days with their hours, by folding keys at the '-' that is in the names Firehose gives
 * to objects and in no name of a folder: an hour is an entry then, or as many as it has streams.
 */
#define NAMES_FOLD '-'

/* Entries that are single objects, of names without a '-'; with more, it is no way to list. */
#define UNFOLDED_MAX 100

#define DAYS_MAX 32 /* by their numbers, from 1 */

struct month {
    hour_t label;
    struct children days;
    struct children hours[DAYS_MAX];
    size_t unfolded;
};

static void free_month(struct month *month) {
    children_free(&month->days);
    for (size_t i = 0; i < DAYS_MAX; i++)
        children_free(&month->hours[i]);
}

/* Takes a key, whole or folded, for the hour that it is of. */
static int take_key(struct month *month, const char *key) {
    hour_t hour;
    if (!hour_of_key(key, &hour) || hour_year(hour) != hour_year(month->label) ||
        hour_month(hour) != hour_month(month->label))
        return 0;
    unsigned day = hour_day(hour);
    int err = children_add(&month->days, hour_pack(hour_year(hour), hour_month(hour), day, 0), 2);
    return err ? err : children_add(&month->hours[day], hour, HOUR_DEPTH - 1);
}

static int take_keys(struct month *month, const struct listing *page) {
    int err = 0;
    for (size_t i = 0; !err && i < page->folder_count; i++)
        err = take_key(month, page->folders[i]);
    for (size_t i = 0; !err && i < page->object_count; i++)
        err = take_key(month, page->objects[i].key);
    month->unfolded += page->object_count;
    return err;
}

/*
 * Whether a page is the answer that was hoped for: there are servers that ignore such a delimiter,
 * and one that answers with the same token for ever.
 */
static bool is_folded(const struct month *month, const struct listing *page, const char *token) {
    return month->unfolded <= UNFOLDED_MAX && page->skipped == 0 &&
           !(token && page->next && strcmp(token, page->next) == 0);
}

/* Returns source_list's errors, or -EPROTO where the source cannot do that. */
static int list_month(struct catalog *catalog, struct month *month, struct fault *fault) {
    char prefix[HOUR_PATH_LEN + 2];
    char *token = NULL;
    int err;
    folder_prefix(month->label, 2, prefix);
    do {
        struct listing page = {0};
        const struct list_query query = {.prefix = prefix, .token = token, .fold = NAMES_FOLD};
        err = list(catalog, &query, &page, fault);
        if (!err && take_keys(month, &page) < 0)
            err = cannot_keep(catalog, -ENOMEM, fault);
        if (!err && !is_folded(month, &page, token))
            err = fault_set(fault, -EPROTO, "%s does not fold keys at '%c'", catalog->source->name,
                            NAMES_FOLD);
        free(token);
        token = err ? NULL : take_token(&page);
        listing_free(&page);
    } while (token);
    return err;
}

/* The lock is held. What is kept is the catalog's from then on. */
static void keep_month(struct catalog *catalog, struct month *month) {
    hour_t day;
    for (size_t n = 0; children_at(&month->days, month->label, 2, n, &day); n++) {
        keep_folder(catalog, day, 3, false, clock_ms(), &month->hours[hour_day(day)]);
        month->hours[hour_day(day)] = (struct children){0};
    }
    keep_folder(catalog, month->label, 2, true, clock_ms(), &month->days);
    month->days = (struct children){0};
}

/* Returns false where that is no way to list: then it is not tried again. */
static bool try_month(struct catalog *catalog, hour_t label, int *ret_err, struct fault *fault) {
    struct month month = {.label = label};
    if (!catalog->source->folds_any || atomic_load(&catalog->folds_not))
        return false;
    int err = list_month(catalog, &month, fault);
    bool refused = err && err != -ENETDOWN && err != -ETIMEDOUT && err != -ECONNRESET &&
                   err != -ECANCELED && err != -ENOMEM;
    if (!err) {
        pthread_mutex_lock(&catalog->lock);
        keep_month(catalog, &month);
        pthread_mutex_unlock(&catalog->lock);
    }
    free_month(&month);
    if (refused)
        atomic_store(&catalog->folds_not, true);
    *ret_err = err;
    return !refused;
}

int catalog_list_folder(struct catalog *catalog, hour_t folder, unsigned depth,
                        struct fault *fault) {
    struct children children = {0};
    bool unsettled = false;
    int of_month;
    if (depth == 2 && try_month(catalog, folder, &of_month, fault))
        return of_month;
    int err = list_folders(catalog, folder, depth, &children, &unsettled, fault);
    if (err) {
        children_free(&children);
        return err;
    }
    pthread_mutex_lock(&catalog->lock);
    keep_folder(catalog, folder, depth, false, listed_now(catalog, unsettled), &children);
    pthread_mutex_unlock(&catalog->lock);
    return 0;
}

/* A day that is not kept, though its whole month was listed. The lock is held. */
static bool is_known_empty(struct catalog *catalog, hour_t day) {
    hour_t label = hour_pack(hour_year(day), hour_month(day), 0, 0);
    const struct folder *month = find_folder(catalog, label, 2);
    return is_fresh(catalog, month) && month->whole && !find_folder(catalog, day, 3);
}

int catalog_children(struct catalog *catalog, hour_t folder, unsigned depth, struct children *ret,
                     bool *ret_fresh) {
    pthread_mutex_lock(&catalog->lock);
    const struct folder *known = find_folder(catalog, folder, depth);
    int err = known ? add_all(ret, &known->children, folder, depth) : 0;
    *ret_fresh = is_fresh(catalog, known) || (depth == 3 && is_known_empty(catalog, folder));
    pthread_mutex_unlock(&catalog->lock);
    return err;
}

/* -- Objects ----------------------------------------------------------------------------------- */

static void unlink_listing(struct catalog *catalog, struct counted_listing *at) {
    *(at->newer ? &at->newer->older : &catalog->newest) = at->older;
    *(at->older ? &at->older->newer : &catalog->oldest) = at->newer;
}

static void link_newest(struct catalog *catalog, struct counted_listing *at) {
    at->newer = NULL;
    at->older = catalog->newest;
    *(at->older ? &at->older->newer : &catalog->oldest) = at;
    catalog->newest = at;
}

static void unref(struct counted_listing *at) {
    if (--at->refs == 0)
        free(at);
}

static void drop_listing(struct catalog *catalog, struct counted_listing *at) {
    unlink_listing(catalog, at);
    catalog->bytes -= at->bytes;
    unref(at);
}

static struct counted_listing *find_listing(struct catalog *catalog, hour_t hour) {
    struct counted_listing *at = catalog->newest;
    while (at && at->listing.hour != hour)
        at = at->older;
    return at;
}

/* Takes the reference over; the lock is held. */
static void keep_listing(struct catalog *catalog, struct counted_listing *at) {
    struct counted_listing *before = find_listing(catalog, at->listing.hour);
    if (before)
        drop_listing(catalog, before);
    link_newest(catalog, at);
    catalog->bytes += at->bytes;
    while (catalog->bytes > LISTINGS_BYTES && catalog->oldest != at)
        drop_listing(catalog, catalog->oldest);
}

struct hour_listing *catalog_known(struct catalog *catalog, hour_t hour, unsigned max_age_ms) {
    pthread_mutex_lock(&catalog->lock);
    struct counted_listing *at = find_listing(catalog, hour);
    if (at && max_age_ms != CATALOG_ANY_AGE &&
        clock_ms() - at->listing.listed > (int64_t)max_age_ms)
        at = NULL;
    if (at) {
        unlink_listing(catalog, at);
        link_newest(catalog, at);
        at->refs++;
    }
    pthread_mutex_unlock(&catalog->lock);
    return at ? &at->listing : NULL;
}

void catalog_release(struct catalog *catalog, struct hour_listing *listing) {
    if (!listing)
        return;
    pthread_mutex_lock(&catalog->lock);
    unref((struct counted_listing *)listing);
    pthread_mutex_unlock(&catalog->lock);
}

/*
 * Keys in order, from an hour on, cut into hours. An hour is kept, and handed to `visit`, once
 * another key or the end shows that it is whole.
 */
struct walk {
    struct catalog *catalog;
    hour_t first;
    char last[HOUR_PATH_LEN + 2]; /* what the keys of the last hour begin with */
    bool to_page_end; /* takes the hours behind `last`, too, that its last page holds whole */
    hour_visitor visit;
    void *ctx;

    int64_t now;
    bool unsettled; /* something was left out, or its second was not over when it was listed */
    struct hour_builder builder; /* builder.hour is 0 between hours */
    bool passed;                 /* a key behind `last` was seen */
    hour_t next;                 /* the hour that the last page ends in, if it may go on; else 0 */
};

/* Keeps a listing, and visits it. Takes the reference over. */
static int hand_over(struct walk *walk, struct counted_listing *built) {
    built->listing.listed = listed_now(walk->catalog, walk->unsettled);
    built->refs++; /* one stays here while it is visited */
    pthread_mutex_lock(&walk->catalog->lock);
    keep_listing(walk->catalog, built);
    pthread_mutex_unlock(&walk->catalog->lock);
    int err = walk->visit ? walk->visit(walk->ctx, &built->listing) : 0;
    catalog_release(walk->catalog, &built->listing);
    return err;
}

static int finish_hour(struct walk *walk) {
    struct counted_listing *built;
    if (!walk->builder.hour)
        return 0;
    int err = hour_builder_finish(&walk->builder, walk->now, &built);
    walk->builder.hour = 0;
    return err ? err : hand_over(walk, built);
}

static int take_object(struct walk *walk, const struct object *object) {
    hour_t hour = 0;
    bool named = hour_of_key(object->key, &hour) && hour >= walk->first;
    int err = hour == walk->builder.hour ? 0 : finish_hour(walk);
    walk->passed = walk->passed || strncmp(object->key, walk->last, HOUR_PATH_LEN + 1) > 0;
    if (err || !named || (walk->passed && !walk->to_page_end))
        return err;
    /* A key that is the folder itself is a marker that some tools leave. */
    if (object->key[HOUR_PATH_LEN + 1] == '\0')
        return 0;
    if (!walk->builder.hour)
        hour_builder_init(&walk->builder, hour);
    if (object->modified >= walk->now && object->modified <= walk->now + 1)
        walk->unsettled = true;
    return hour_builder_add(&walk->builder, object);
}

static int take_page(struct walk *walk, const struct listing *page) {
    int err = 0;
    if (!walk->now)
        walk->now = page->now;
    walk->unsettled = walk->unsettled || page->unsettled;
    for (size_t i = 0; !err && i < page->object_count; i++)
        err = take_object(walk, &page->objects[i]);
    /* The hour that the page ends in may go on behind it. */
    if (!err && !page->next)
        err = finish_hour(walk);
    return err;
}

static int walk_keys(struct walk *walk, const char *prefix, struct fault *fault) {
    char after[HOUR_PATH_LEN + 2];
    char *token = NULL;
    int err;
    folder_prefix(walk->first, HOUR_DEPTH, after);
    do {
        struct listing page = {0};
        const struct list_query query = {.prefix = prefix, .after = after, .token = token};
        err = list(walk->catalog, &query, &page, fault);
        int kept = err ? 0 : take_page(walk, &page);
        if (kept)
            err = kept < 0 ? cannot_keep(walk->catalog, kept, fault) : kept;
        free(token);
        token = err || walk->passed ? NULL : take_token(&page);
        listing_free(&page);
    } while (token);
    walk->next = walk->builder.hour;
    hour_builder_free(&walk->builder);
    return err;
}

/* The text that two hours' paths begin with alike: it keeps a page to keys that matter. */
static void common_prefix(hour_t first, hour_t last, char ret[HOUR_PATH_LEN + 1]) {
    char path[HOUR_PATH_LEN + 1];
    size_t n = 0;
    hour_path(first, HOUR_DEPTH, ret);
    hour_path(last, HOUR_DEPTH, path);
    while (ret[n] && ret[n] == path[n])
        n++;
    ret[n] = '\0';
}

int catalog_sweep(struct catalog *catalog, hour_t first, hour_t last, hour_visitor visit, void *ctx,
                  struct fault *fault) {
    char prefix[HOUR_PATH_LEN + 1];
    struct walk walk = {.catalog = catalog, .first = first, .visit = visit, .ctx = ctx};
    folder_prefix(last, HOUR_DEPTH, walk.last);
    common_prefix(first, last, prefix);
    return walk_keys(&walk, prefix, fault);
}

/* The source has nothing in the hour: that is worth keeping, too. */
static int keep_empty(struct walk *walk) {
    struct counted_listing *built;
    hour_builder_init(&walk->builder, walk->first);
    int err = hour_builder_finish(&walk->builder, walk->now, &built);
    return err ? err : hand_over(walk, built);
}

int catalog_learn(struct catalog *catalog, struct hour_builder *builder,
                  struct hour_listing **ret) {
    struct counted_listing *built;
    int err = hour_builder_finish(builder, 0, &built);
    if (err)
        return err;
    built->listing.listed = INT64_MIN / 2; /* older than any listing */
    built->refs++;
    pthread_mutex_lock(&catalog->lock);
    keep_listing(catalog, built);
    pthread_mutex_unlock(&catalog->lock);
    *ret = &built->listing;
    return 0;
}

/* The one hour that was asked for, of all that its pages hold. */
struct wanted {
    struct catalog *catalog;
    hour_t hour;
    struct hour_listing *listing;
};

static int take_wanted(void *ctx, struct hour_listing *listing) {
    struct wanted *wanted = ctx;
    if (listing->hour != wanted->hour)
        return 0;
    catalog_release(wanted->catalog, wanted->listing);
    pthread_mutex_lock(&wanted->catalog->lock);
    ((struct counted_listing *)listing)->refs++;
    pthread_mutex_unlock(&wanted->catalog->lock);
    wanted->listing = listing;
    return 0;
}

/* Keeps it longest, should the hours that came along have driven it out. */
static void keep_wanted(struct catalog *catalog, struct counted_listing *at) {
    pthread_mutex_lock(&catalog->lock);
    at->refs++;
    keep_listing(catalog, at);
    pthread_mutex_unlock(&catalog->lock);
}

static int list_hour(struct catalog *catalog, hour_t hour, struct hour_listing **ret,
                     struct page_end *ret_end, struct fault *fault) {
    struct wanted wanted = {.catalog = catalog, .hour = hour};
    struct walk walk = {.catalog = catalog,
                        .first = hour,
                        .to_page_end = true,
                        .visit = take_wanted,
                        .ctx = &wanted};
    folder_prefix(hour, HOUR_DEPTH, walk.last);
    int err = walk_keys(&walk, "", fault);
    if (!err && !wanted.listing && keep_empty(&walk) < 0)
        err = cannot_keep(catalog, -ENOMEM, fault);
    if (err) {
        catalog_release(catalog, wanted.listing);
        return err;
    }
    keep_wanted(catalog, (struct counted_listing *)wanted.listing);
    *ret = wanted.listing;
    if (ret_end)
        *ret_end = (struct page_end){true, walk.next};
    return 0;
}

/* Whether a page that is being listed may well hold the hour. The lock is held. */
static bool is_under_way(const struct catalog *catalog, hour_t hour) {
    const struct page_walk *walk = catalog->walks;
    while (walk && !(walk->first <= hour && hour <= hour_add(walk->first, PAGE_HOURS)))
        walk = walk->next;
    return walk != NULL;
}

/* Readers of neighbouring hours ask at the same time: one page serves them all. */
static void await_page(struct catalog *catalog, hour_t hour) {
    pthread_mutex_lock(&catalog->lock);
    while (is_under_way(catalog, hour))
        pthread_cond_wait(&catalog->walked, &catalog->lock);
    pthread_mutex_unlock(&catalog->lock);
}

static int list_page(struct catalog *catalog, hour_t hour, struct hour_listing **ret,
                     struct page_end *ret_end, struct fault *fault) {
    struct page_walk walk = {.first = hour};
    pthread_mutex_lock(&catalog->lock);
    walk.next = catalog->walks;
    catalog->walks = &walk;
    pthread_mutex_unlock(&catalog->lock);
    int err = list_hour(catalog, hour, ret, ret_end, fault);
    pthread_mutex_lock(&catalog->lock);
    struct page_walk **at = &catalog->walks;
    while (*at != &walk)
        at = &(*at)->next;
    *at = walk.next;
    pthread_cond_broadcast(&catalog->walked);
    pthread_mutex_unlock(&catalog->lock);
    return err;
}

int catalog_objects(struct catalog *catalog, hour_t hour, unsigned max_age_ms,
                    struct hour_listing **ret, struct page_end *ret_end, struct fault *fault) {
    struct hour_listing *listing = catalog_known(catalog, hour, max_age_ms);
    if (!listing && max_age_ms) {
        await_page(catalog, hour);
        listing = catalog_known(catalog, hour, max_age_ms);
    }
    if (!listing)
        return list_page(catalog, hour, ret, ret_end, fault);
    if (ret_end)
        *ret_end = (struct page_end){0};
    *ret = listing;
    return 0;
}
