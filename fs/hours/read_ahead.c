/*
 * Listing ahead of a reader that walks forward, so that it seldom waits: the page of objects behind
 * the one it has begun, and the folders beside the one it is in.
 */
#include "job.h"

/* Days that are listed ahead. */
#define DAYS_AHEAD 8

void read_ahead_note(struct hours *hours, hour_t first, hour_t next) {
    pthread_mutex_lock(&hours->lock);
    hours->page.forward = hours->page.next == first;
    hours->page.first = first;
    hours->page.next = next;
    pthread_mutex_unlock(&hours->lock);
}

void read_ahead_objects(struct hours *hours, hour_t hour) {
    pthread_mutex_lock(&hours->lock);
    hour_t next = hours->page.forward && hours->page.first == hour ? hours->page.next : 0;
    if (next)
        hours->page.forward = false; /* this page has done its part */
    pthread_mutex_unlock(&hours->lock);
    if (next)
        (void)job_begin(hours, JOB_OBJECTS, next, 0); /* without memory it is done when asked for */
}

static bool is_listed(struct hours *hours, hour_t folder, unsigned depth) {
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
            (void)job_begin(hours, JOB_FOLDER, other, 3);
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
