#include "retry.h"

#include <errno.h>
#include <sys/random.h>
#include <time.h>

#define TRIES_MAX 5
#define TRIES_MAX_UNREACHED 3 /* each may take as long as connecting, or a pause, may last */
#define BACKOFF_FIRST_MS 100u
#define BACKOFF_MAX_MS 5000u
#define RETRY_AFTER_MAX_S 20u
#define AWAY_MS 1000

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void retry_init(struct retry *retry) {
    *retry = (struct retry){0};
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&retry->stop, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&retry->lock, NULL);
}

void retry_destroy(struct retry *retry) {
    pthread_cond_destroy(&retry->stop);
    pthread_mutex_destroy(&retry->lock);
}

int retry_admit(struct retry *retry) {
    int err = 0;
    pthread_mutex_lock(&retry->lock);
    if (retry->stopped)
        err = -ECANCELED;
    else if (retry->away && (retry->probing || now_ms() < retry->probe_at_ms))
        err = -ENETDOWN;
    else
        retry->probing = retry->away;
    pthread_mutex_unlock(&retry->lock);
    return err;
}

/* The last of its tries found nobody: the server is away, or still so. */
static void note_away(struct retry *retry) {
    retry->away = true;
    retry->probe_at_ms = now_ms() + AWAY_MS;
}

bool retry_go_on(struct retry *retry, enum try_end end, unsigned tries) {
    bool unreached = end == TRY_AWAY || end == TRY_SILENT;
    bool more =
        end != TRY_DONE && end != TRY_NONE && tries < (unreached ? TRIES_MAX_UNREACHED : TRIES_MAX);
    pthread_mutex_lock(&retry->lock);
    retry->probing = false;
    if (end == TRY_AWAY) {
        more = more && !retry->away;
        if (!more)
            note_away(retry);
    } else if (end != TRY_NONE) {
        retry->away = false;
    }
    pthread_mutex_unlock(&retry->lock);
    return more;
}

static unsigned backoff_ms(unsigned tries) {
    unsigned bound = BACKOFF_FIRST_MS;
    for (unsigned i = 1; i < tries && bound < BACKOFF_MAX_MS; i++)
        bound *= 2;
    if (bound > BACKOFF_MAX_MS)
        bound = BACKOFF_MAX_MS;
    unsigned dice = 0;
    /* Without randomness the whole time is waited. */
    if (getrandom(&dice, sizeof dice, GRND_NONBLOCK) != (ssize_t)sizeof dice)
        return bound;
    return dice % (bound + 1);
}

int retry_wait(struct retry *retry, unsigned tries, unsigned retry_after_s) {
    unsigned asked_s = retry_after_s < RETRY_AFTER_MAX_S ? retry_after_s : RETRY_AFTER_MAX_S;
    int64_t until = now_ms() + asked_s * 1000 + backoff_ms(tries);
    struct timespec end = {.tv_sec = until / 1000, .tv_nsec = until % 1000 * 1000000};
    pthread_mutex_lock(&retry->lock);
    int rc = 0;
    while (!retry->stopped && rc == 0)
        rc = pthread_cond_timedwait(&retry->stop, &retry->lock, &end);
    bool stopped = retry->stopped;
    pthread_mutex_unlock(&retry->lock);
    return stopped ? -ECANCELED : 0;
}

void retry_stop(struct retry *retry) {
    pthread_mutex_lock(&retry->lock);
    retry->stopped = true;
    pthread_cond_broadcast(&retry->stop);
    pthread_mutex_unlock(&retry->lock);
}
