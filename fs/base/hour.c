#include <maciefs/hour.h>

#include <string.h>

#define YEAR_MAX 8191

/* Where each component stands in "2026/11/24/05", and how many digits it has. */
static const struct {
    unsigned at, digits, shift;
} FIELDS[HOUR_DEPTH] = {{0, 4, 14}, {5, 2, 10}, {8, 2, 5}, {11, 2, 0}};

static unsigned days_in_month(unsigned year, unsigned month) {
    static const unsigned char DAYS[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return month == 2 && leap ? 29 : DAYS[(month - 1) % 12];
}

static bool read_digits(const char *text, unsigned digits, unsigned *ret) {
    unsigned value = 0;
    for (unsigned i = 0; i < digits; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        value = value * 10 + (unsigned)(text[i] - '0');
    }
    *ret = value;
    return true;
}

static void write_digits(char *at, unsigned digits, unsigned value) {
    for (unsigned i = digits; i-- > 0; value /= 10)
        at[i] = (char)('0' + value % 10);
}

static bool in_range(hour_t folder, unsigned depth, unsigned value) {
    switch (depth) {
    case 0:
        return value >= 1 && value <= YEAR_MAX;
    case 1:
        return value >= 1 && value <= 12;
    case 2:
        return value >= 1 && value <= days_in_month(hour_year(folder), hour_month(folder));
    default:
        return value <= 23;
    }
}

/* Reads the component at the start of `text`, which must end in `end`. */
static bool read_component(hour_t folder, unsigned depth, const char *text, char end, hour_t *ret) {
    unsigned value;
    if (!read_digits(text, FIELDS[depth].digits, &value) || text[FIELDS[depth].digits] != end ||
        !in_range(folder, depth, value))
        return false;
    *ret = folder | value << FIELDS[depth].shift;
    return true;
}

bool hour_of_key(const char *key, hour_t *ret) {
    hour_t hour = 0;
    for (unsigned depth = 0; depth < HOUR_DEPTH; depth++)
        if (!read_component(hour, depth, key + FIELDS[depth].at, '/', &hour))
            return false;
    *ret = hour;
    return true;
}

bool hour_child(hour_t folder, unsigned depth, const char *name, hour_t *ret) {
    return depth < HOUR_DEPTH && read_component(folder, depth, name, '\0', ret);
}

void hour_path(hour_t hour, unsigned depth, char ret[HOUR_PATH_LEN + 1]) {
    unsigned values[HOUR_DEPTH] = {hour_year(hour), hour_month(hour), hour_day(hour),
                                   hour_hour(hour)};
    unsigned end = 0;
    for (unsigned i = 0; i < depth && i < HOUR_DEPTH; i++) {
        if (i)
            ret[end] = '/';
        write_digits(ret + FIELDS[i].at, FIELDS[i].digits, values[i]);
        end = FIELDS[i].at + FIELDS[i].digits;
    }
    ret[end] = '\0';
}

/* The month that begins a day after the last of this one, or ends a day before its first. */
static bool next_month(unsigned *year, unsigned *month) {
    if (++*month <= 12)
        return true;
    *month = 1;
    return ++*year <= YEAR_MAX;
}

static bool previous_month(unsigned *year, unsigned *month) {
    if (--*month >= 1)
        return true;
    *month = 12;
    return --*year >= 1;
}

/* Month by month: it is asked for a few hours, and even the widest leap ends with the calendar. */
time_t hour_start_past(hour_t hour) {
    hour_t now = hour_at(time(NULL));
    return hour_start(hour < now ? hour : now);
}

hour_t hour_add(hour_t hour, int n) {
    unsigned year = hour_year(hour), month = hour_month(hour);
    int64_t hours = (int64_t)hour_hour(hour) + n;
    int64_t days = hours / 24 - (hours % 24 < 0);
    int64_t day = (int64_t)hour_day(hour) + days;
    while (day > days_in_month(year, month)) {
        day -= days_in_month(year, month);
        if (!next_month(&year, &month))
            return hour_pack(YEAR_MAX, 12, 31, 23);
    }
    while (day < 1) {
        if (!previous_month(&year, &month))
            return hour_pack(1, 1, 1, 0);
        day += days_in_month(year, month);
    }
    return hour_pack(year, month, (unsigned)day, (unsigned)(hours - days * 24));
}
