/* Where labels meet the clock. */
#include <maciefs/hour.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ZONES "/usr/share/zoneinfo"
#define NAME_MAX_LEN 64
#define QUARTER 900        /* seconds; clocks are put forward and back by multiples of it */
#define SHIFT_QUARTERS 12  /* by three hours at most */
#define EAST_MAX (14 * 60) /* minutes */
#define WEST_MAX (12 * 60)

/* ---- The zone ---- */

static bool name_is_safe(const char *name) {
    static const char CHARS[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/";
    size_t len = strlen(name);
    return len > 0 && len <= NAME_MAX_LEN && name[0] != '/' && strspn(name, CHARS) == len;
}

/* The database's folder holds tables and notes as well; only its zones begin so (RFC 8536). */
static bool is_zone_file(const char *path) {
    char magic[4];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return false;
    ssize_t got = read(fd, magic, sizeof magic);
    close(fd);
    return got == (ssize_t)sizeof magic && memcmp(magic, "TZif", sizeof magic) == 0;
}

/* Reads one or two digits; returns what stands behind them, or NULL. */
static const char *read_two(const char *text, int *ret) {
    if (*text < '0' || *text > '9')
        return NULL;
    int value = *text++ - '0';
    if (*text >= '0' && *text <= '9')
        value = value * 10 + (*text++ - '0');
    *ret = value;
    return text;
}

/* Reads "+H", "+HH", "+HHMM" or "+HH:MM" into minutes east of Greenwich. */
static bool read_offset(const char *text, int *ret) {
    int hours, minutes = 0;
    if (*text != '+' && *text != '-')
        return false;
    const char *at = read_two(text + 1, &hours);
    if (!at)
        return false;
    if (*at) {
        at += *at == ':';
        if (strlen(at) != 2 || !(at = read_two(at, &minutes)) || *at || minutes > 59)
            return false;
    }
    int total = hours * 60 + minutes;
    if (total > (*text == '-' ? WEST_MAX : EAST_MAX))
        return false;
    *ret = *text == '-' ? -total : total;
    return true;
}

static int zone_refused(const char *zone, struct fault *fault) {
    if (access(ZONES, X_OK) != 0)
        return fault_set(fault, -EINVAL,
                         "timezone=%s: there is no %s here to look it up in: install tzdata, or "
                         "give an offset such as +02:00",
                         zone, ZONES);
    return fault_set(fault, -EINVAL,
                     "timezone= takes UTC, a name of the tz database such as Europe/Berlin, or an "
                     "offset from -12:00 to +14:00 such as +02:00 (default UTC), not \"%s\"",
                     zone);
}

int hour_zone_set(const char *zone, struct fault *fault) {
    char text[sizeof ZONES + NAME_MAX_LEN + 2];
    int east;
    if (strcmp(zone, "UTC") == 0) {
        snprintf(text, sizeof text, "UTC0");
    } else if (read_offset(zone, &east)) {
        /* POSIX counts what must be added to reach UTC: west is positive. */
        snprintf(text, sizeof text, "<LOCAL>%c%02d:%02d", east > 0 ? '-' : '+', abs(east) / 60,
                 abs(east) % 60);
    } else {
        snprintf(text, sizeof text, ":" ZONES "/%s", name_is_safe(zone) ? zone : "");
        if (!name_is_safe(zone) || !is_zone_file(text + 1))
            return zone_refused(zone, fault);
    }
    if (setenv("TZ", text, 1) != 0)
        return fault_set(fault, -errno, "no memory to set the time zone");
    tzset();
    return 0;
}

/* ---- Hours on the clock ---- */

/* Clocks may be a server's, and tell anything: times without a label give the nearest that has. */
hour_t hour_at(time_t when) {
    struct tm tm;
    bool known = localtime_r(&when, &tm) != NULL;
    if (known ? tm.tm_year + (int64_t)1900 < 1 : when < 0)
        return hour_pack(1, 1, 1, 0);
    if (!known || tm.tm_year > 8191 - 1900)
        return hour_pack(8191, 12, 31, 23);
    return hour_pack((unsigned)(tm.tm_year + 1900), (unsigned)tm.tm_mon + 1, (unsigned)tm.tm_mday,
                     (unsigned)tm.tm_hour);
}

/*
 * mktime answers for the ordinary hour. Around a change of clocks it may pick the second of two
 * beginnings, or a place beside an hour that was left out; the quarters nearby tell.
 */
time_t hour_start(hour_t hour) {
    struct tm tm = {.tm_year = (int)hour_year(hour) - 1900,
                    .tm_mon = (int)hour_month(hour) - 1,
                    .tm_mday = (int)hour_day(hour),
                    .tm_hour = (int)hour_hour(hour),
                    .tm_isdst = -1};
    time_t start = mktime(&tm);
    for (int i = 0; i < SHIFT_QUARTERS && hour_at(start) < hour; i++)
        start += QUARTER;
    for (int i = SHIFT_QUARTERS; i > 0; i--)
        if (hour_at(start - i * QUARTER) >= hour)
            return start - i * QUARTER;
    return start;
}
