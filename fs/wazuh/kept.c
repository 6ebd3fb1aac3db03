/* Which objects the view has, and for how long it remembers them. */
#include "wazuh_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* How far back, in hours, a delivery is looked for that the view may lack. */
static int reach(const struct wazuh *wazuh) {
    return (int)(wazuh->options.config->window_s / 3600) + 1 + WAZUH_LATE;
}

static hour_t earlier(hour_t a, hour_t b) {
    return a < b ? a : b;
}

hour_t wazuh_oldest(struct wazuh *wazuh) {
    hour_t now = hour_at(time(NULL));
    pthread_mutex_lock(&wazuh->lock);
    bool missed = wazuh->resume && !wazuh->caught_up; /* what came while no one looked */
    hour_t resume = missed ? earlier(wazuh->resume, now) : now;
    pthread_mutex_unlock(&wazuh->lock);
    return hour_add(resume, -reach(wazuh));
}

void wazuh_window(const struct wazuh *wazuh, hour_t *ret_first, hour_t *ret_last) {
    time_t now = time(NULL);
    *ret_first = hour_at(now - (time_t)wazuh->options.config->window_s);
    *ret_last = hour_at(now + 3600);
}

bool wazuh_shows(const struct wazuh *wazuh, hour_t hour) {
    hour_t first, last;
    wazuh_window(wazuh, &first, &last);
    return first <= hour && hour <= last;
}

hour_t wazuh_hour_of(const struct wazuh *wazuh, int64_t modified) {
    hour_t hour = hour_at((time_t)modified);
    return wazuh_shows(wazuh, hour) ? hour : hour_at(time(NULL));
}

static int has_in(struct wazuh *wazuh, hour_t hour, const struct object *object) {
    int has = store_has(wazuh->store, hour, object);
    return has < 0 ? has : has != STORE_NEW;
}

/* Most objects are in the hour that their time says, or in none. */
int wazuh_has(struct wazuh *wazuh, const struct object *object) {
    hour_t likely = hour_at((time_t)object->modified);
    int has = has_in(wazuh, likely, object);
    pthread_mutex_lock(&wazuh->lock);
    for (size_t i = wazuh->kept_count; has == 0 && i-- > 0;)
        if (wazuh->kept[i] != likely)
            has = has_in(wazuh, wazuh->kept[i], object);
    pthread_mutex_unlock(&wazuh->lock);
    return has;
}

static int grow(struct wazuh *wazuh) {
    size_t cap = wazuh->kept_cap ? wazuh->kept_cap * 2 : 128;
    hour_t *kept = realloc(wazuh->kept, cap * sizeof *kept);
    if (!kept)
        return -ENOMEM;
    wazuh->kept = kept;
    wazuh->kept_cap = cap;
    return 0;
}

int wazuh_keep(struct wazuh *wazuh, hour_t hour) {
    pthread_mutex_lock(&wazuh->lock);
    size_t at = wazuh->kept_count;
    while (at > 0 && wazuh->kept[at - 1] > hour)
        at--;
    bool there = at > 0 && wazuh->kept[at - 1] == hour;
    int err = !there && wazuh->kept_count == wazuh->kept_cap ? grow(wazuh) : 0;
    if (!there && !err) {
        memmove(wazuh->kept + at + 1, wazuh->kept + at,
                (wazuh->kept_count - at) * sizeof *wazuh->kept);
        wazuh->kept[at] = hour;
        wazuh->kept_count++;
    }
    pthread_mutex_unlock(&wazuh->lock);
    return err;
}

/*
 * Journals before this hour tell of objects that no log can bring again: should the mount be down
 * from now on, the next one resumes at the last journal, and looks no further back from there.
 */
static hour_t forget_before(struct wazuh *wazuh) {
    hour_t last = wazuh->kept[wazuh->kept_count - 1];
    return hour_add(earlier(last, hour_at(time(NULL))), -reach(wazuh));
}

static void forget_first(struct wazuh *wazuh) {
    memmove(wazuh->kept, wazuh->kept + 1, --wazuh->kept_count * sizeof *wazuh->kept);
}

void wazuh_roll(struct wazuh *wazuh) {
    hour_t first, last;
    wazuh_window(wazuh, &first, &last);
    if (first == wazuh->rolled)
        return;
    wazuh->rolled = first;
    pthread_mutex_lock(&wazuh->lock);
    while (wazuh->kept_count > 0 && wazuh->kept[0] < forget_before(wazuh) &&
           store_remove(wazuh->store, wazuh->kept[0]) == 0)
        forget_first(wazuh);
    /* What cannot be dropped now is dropped in an hour. */
    for (size_t i = 0; i < wazuh->kept_count && wazuh->kept[i] < first; i++)
        (void)store_discard(wazuh->store, wazuh->kept[i]);
    pthread_mutex_unlock(&wazuh->lock);
}
