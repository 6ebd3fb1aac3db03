#include "hours_private.h"

#include <maciefs/clock.h>
#include <maciefs/key_set.h>

#include <errno.h>
#include <string.h>

/* How long a source that did not answer is left to the watcher alone, where a log is known. */
#define AWAY_MS 10000

bool is_away(int err) {
    return err == -ENETDOWN || err == -ETIMEDOUT || err == -EHOSTUNREACH;
}

bool is_full(int err) {
    return err == -ENOSPC || err == -EDQUOT;
}

bool hours_tell_once(struct hours *hours, enum report_level level, const char *text) {
    uint64_t digest = key_digest(text, "").key[0];
    int64_t now = clock_ms();
    pthread_mutex_lock(&hours->lock);
    unsigned i = 0;
    while (i < TOLD_MAX && (hours->told[i].digest != digest || hours->told[i].until <= now))
        i++;
    bool news = i == TOLD_MAX;
    if (news) {
        hours->told[hours->told_next].digest = digest;
        hours->told[hours->told_next].until = now + TOLD_MS;
        hours->told_next = (hours->told_next + 1) % TOLD_MAX;
    }
    pthread_mutex_unlock(&hours->lock);
    if (news)
        hours->options.tell(level, "%s", text);
    return news;
}

/* Sets a flag. Returns whether that changed it. */
static bool change(struct hours *hours, bool *flag, bool value) {
    pthread_mutex_lock(&hours->lock);
    bool changed = *flag != value;
    *flag = value;
    pthread_mutex_unlock(&hours->lock);
    return changed;
}

static void note_away(struct hours *hours, int err) {
    pthread_mutex_lock(&hours->lock);
    hours->away_when = err ? clock_ms() : 0;
    pthread_mutex_unlock(&hours->lock);
}

bool hours_is_away(struct hours *hours) {
    pthread_mutex_lock(&hours->lock);
    bool away = hours->away_when && clock_ms() - hours->away_when < AWAY_MS;
    pthread_mutex_unlock(&hours->lock);
    return away;
}

void hours_source_result(struct hours *hours, int err, const struct fault *fault) {
    struct counters *counters = hours->options.counters;
    if (err == -ECANCELED)
        return;
    if (err)
        atomic_fetch_add(&counters->failures, 1);
    else
        atomic_store(&counters->last_poll, (int64_t)time(NULL));
    note_away(hours, err);
    if (!change(hours, &hours->away, err != 0))
        return;
    atomic_store(&counters->offline_now, err != 0);
    if (err)
        hours->options.tell(REPORT_ERROR, "%s; what is on the disk stays readable meanwhile",
                            fault->text);
    else
        hours->options.tell(REPORT_INFO, "%s answers again", hours->options.source->name);
}

void hours_disk_result(struct hours *hours, int err) {
    bool full = is_full(err);
    if (!change(hours, &hours->full, full))
        return;
    atomic_store(&hours->options.counters->disk_full_now, full);
    if (full)
        hours->options.tell(
            REPORT_ERROR,
            "the disk of the cache folder %s is full: logs stop growing until there "
            "is room",
            hours->options.config->cache);
    else
        hours->options.tell(REPORT_INFO, "there is room on the disk again: logs go on growing");
}
