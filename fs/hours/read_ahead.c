#include "read_ahead.h"
#include "refresh.h"

/* Days that are listed ahead. */
#define DAYS_AHEAD 8

void read_ahead_objects(struct hours *hours, hour_t hour) {
    pthread_mutex_lock(&hours->lock);
    hour_t next = hours->page.forward && hours->page.first == hour ? hours->page.next : 0;
    if (next)
        hours->page.forward = false; /* this page has done its part */
    pthread_mutex_unlock(&hours->lock);
    if (next)
        (void)job_begin(hours, list_objects, next,
                        0); /* without memory it is done when asked for */
}

bool is_listed(struct hours *hours, hour_t folder, unsigned depth) {
    struct children children = {0};
    bool fresh = false;
    (void)catalog_children(hours->options.catalog, folder, depth, &children, &fresh);
    children_free(&children);
    return fresh;
}

static void list_days_behind(struct hours *hours, hour_t day, const struct children *days) {
    hour_t month = hour_pack(hour_year(day), hour_month(day), 0, 0), other;
    unsigned ahead = 0;
    for (size_t n = 0; ahead < DAYS_AHEAD && children_at(days, month, 2, n, &other); n++) {
        if (other <= day)
            continue;
        ahead++;
        if (!is_listed(hours, other, 3))
            (void)job_begin(hours, list_folder, other, 3);
    }
}

void read_ahead_days(struct hours *hours, hour_t day) {
    struct children days = {0};
    bool fresh;
    pthread_mutex_lock(&hours->lock);
    bool forward = hours->last_day && day > hours->last_day;
    hours->last_day = day;
    pthread_mutex_unlock(&hours->lock);
    if (!forward)
        return;
    hour_t month = hour_pack(hour_year(day), hour_month(day), 0, 0);
    if (catalog_children(hours->options.catalog, month, 2, &days, &fresh) == 0)
        list_days_behind(hours, day, &days);
    children_free(&days);
}

/* The first month of the year, behind this one, that is known; or 0. */
static hour_t next_month(struct hours *hours, hour_t month) {
    struct children months = {0};
    hour_t year = hour_pack(hour_year(month), 0, 0, 0), other, next = 0;
    bool fresh;
    int err = catalog_children(hours->options.catalog, year, 1, &months, &fresh);
    for (size_t n = 0; !err && !next && children_at(&months, year, 1, n, &other); n++)
        if (other > month)
            next = other;
    children_free(&months);
    return next;
}

/* Lists the month behind this one; where that is done, the one behind that. */
static void list_months_behind(struct hours *hours, hour_t month) {
    hour_t next = next_month(hours, month);
    if (next && is_listed(hours, next, 2))
        next = next_month(hours, next);
    if (next && !is_listed(hours, next, 2))
        (void)job_begin(hours, list_folder, next, 2);
}

void read_ahead_month(struct hours *hours, hour_t folder, unsigned depth) {
    pthread_mutex_lock(&hours->lock);
    bool forward = hours->last_month && hour_year(hours->last_month) == hour_year(folder) &&
                   folder > hours->last_month;
    hours->last_month = folder;
    pthread_mutex_unlock(&hours->lock);
    if (forward && depth == 2)
        list_months_behind(hours, folder);
}

void read_ahead_further(struct hours *hours, hour_t month) {
    pthread_mutex_lock(&hours->lock);
    hour_t last = hours->last_month;
    pthread_mutex_unlock(&hours->lock);
    if (last && hour_month(last) && hour_year(last) == hour_year(month) && month > last)
        list_months_behind(hours, last);
}
