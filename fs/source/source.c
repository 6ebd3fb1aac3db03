#include <maciefs/folder.h>
#include <maciefs/hour.h>
#include <maciefs/s3.h>
#include <maciefs/source.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int source_list(struct source *source, const struct list_query *query, struct listing *ret,
                struct fault *fault) {
    struct listing page = {0};
    int err = source->ops->list(source, query, &page, fault);
    if (err) {
        listing_free(&page);
        return err;
    }
    *ret = page;
    return 0;
}

int source_get(struct source *source, const struct object *object, const struct object_sink *sink,
               struct fault *fault) {
    return source->ops->get(source, object, sink, fault);
}

void source_stop(struct source *source) {
    source->ops->stop(source);
}

void source_free(struct source *source) {
    if (source)
        source->ops->free(source);
}

/* One form of the prefix, and what is under it. */
struct candidate {
    struct source *source;
    bool anything;
    bool hours;
    char first[OBJECT_KEY_MAX + 1]; /* the first key or folder under it; "" for none */
};

static bool shows_year(const struct listing *page) {
    for (size_t i = 0; i < page->folder_count; i++) {
        const char *name = page->folders[i];
        hour_t year;
        char digits[5] = "";
        if (strlen(name) != 5)
            continue;
        memcpy(digits, name, 4);
        if (hour_child(0, 0, digits, &year))
            return true;
    }
    return false;
}

static void note_first(struct candidate *candidate, const struct listing *page) {
    const char *object = page->object_count ? page->objects[0].key : NULL;
    const char *folder = page->folder_count ? page->folders[0] : NULL;
    const char *first = object && (!folder || strcmp(object, folder) < 0) ? object : folder;
    if (first)
        snprintf(candidate->first, sizeof candidate->first, "%s", first);
}

/*
 * Two pages tell, however much is under the prefix: its first, and where that is not all, the first
 * of what begins like the years of this century.
 */
static int candidate_look(struct candidate *candidate, struct fault *fault) {
    struct list_query query = {.fold = '/'};
    struct listing page;
    int err = source_list(candidate->source, &query, &page, fault);
    if (err)
        return err;
    candidate->anything = page.object_count + page.folder_count + page.skipped > 0;
    candidate->hours = shows_year(&page);
    note_first(candidate, &page);
    bool more = page.next != NULL;
    listing_free(&page);
    if (!more || candidate->hours)
        return 0;

    query.prefix = "20";
    err = source_list(candidate->source, &query, &page, fault);
    if (err)
        return err;
    candidate->hours = shows_year(&page);
    listing_free(&page);
    return 0;
}

static int candidate_open(struct candidate *candidate, const struct config *config,
                          const char *prefix, source_maker make, struct fault *fault) {
    int err = make(config, prefix, &candidate->source, fault);
    if (err)
        return err;
    err = candidate_look(candidate, fault);
    if (err) {
        source_free(candidate->source);
        candidate->source = NULL;
    }
    return err;
}

static int nothing_there(const struct config *config, const char *bare, const char *near,
                         struct fault *fault) {
    if (near[0])
        return fault_set(fault, -ENOENT,
                         "nothing is under s3://%s/%s/, but there is s3://%s/%s%s: name the whole "
                         "prefix that Firehose writes to",
                         config->bucket, bare, config->bucket, bare, near);
    return fault_set(fault, -ENOENT,
                     "nothing is under s3://%s/%s: name the prefix that Firehose writes to (what "
                     "stands before the year, such as s3://%s/macie), or create it first",
                     config->bucket, config->prefix, config->bucket);
}

/*
 * The folder ("macie/") goes before the bare form ("macie", as in "macie2026/…"): it is what nearly
 * every stream writes to, and alone may be empty of hours, since a bare form without any may as
 * well be the beginning of some other prefix.
 */
static int resolve(const struct config *config, const char *bare, const char *folder,
                   source_maker make, struct source **ret, struct fault *fault) {
    struct candidate folders = {0}, bares = {0};
    int err = candidate_open(&folders, config, folder, make, fault);
    if (err)
        return err;
    if (folders.hours) {
        *ret = folders.source;
        return 0;
    }
    err = candidate_open(&bares, config, bare, make, fault);
    if (!err && bares.hours) {
        *ret = bares.source;
        source_free(folders.source);
        return 0;
    }
    source_free(bares.source);
    /* A policy that allows the folder alone is no reason to fail. */
    if (folders.anything && (!err || err == -EACCES)) {
        *ret = folders.source;
        return 0;
    }
    source_free(folders.source);
    return err ? err : nothing_there(config, bare, bares.first, fault);
}

int source_resolve(const struct config *config, source_maker make, struct source **ret,
                   struct fault *fault) {
    size_t len = strlen(config->prefix);
    if (len == 0) {
        struct candidate whole = {0};
        int err = candidate_open(&whole, config, "", make, fault);
        if (!err)
            *ret = whole.source;
        return err;
    }
    char *bare = strdup(config->prefix);
    char *folder = malloc(len + 2);
    int err = -ENOMEM;
    if (bare && folder) {
        if (bare[len - 1] == '/')
            bare[len - 1] = '\0';
        snprintf(folder, len + 2, "%s/", bare);
        err = resolve(config, bare, folder, make, ret, fault);
    } else {
        fault_set(fault, err, "no memory");
    }
    free(bare);
    free(folder);
    return err;
}

static int make_folder(const struct config *config, const char *prefix, struct source **ret,
                       struct fault *fault) {
    (void)prefix;
    return folder_source_new(config, ret, fault);
}

static source_maker maker_of(const struct config *config) {
    return config->scheme == CONFIG_FILE ? make_folder : s3_source_new;
}

int source_open(const struct config *config, struct source **ret, struct fault *fault) {
    return source_resolve(config, maker_of(config), ret, fault);
}

int source_reopen(const struct config *config, const char *prefix, struct source **ret,
                  struct fault *fault) {
    return maker_of(config)(config, prefix, ret, fault);
}
