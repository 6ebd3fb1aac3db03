#include <maciefs/iso8601.h>

#include <string.h>
#include <time.h>

#define OFFSET_LEN 6 /* of "+01:00" */

/* Reads exactly `count` digits. -1 where there are none. */
static int digits(const char *at, int count) {
    int value = 0;
    for (int i = 0; i < count; i++) {
        if (at[i] < '0' || at[i] > '9')
            return -1;
        value = value * 10 + (at[i] - '0');
    }
    return value;
}

static int days_in_month(int year, int month) {
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

bool iso8601_parse(const char *at, size_t len, int64_t *ret) {
    static const char shape[] = "dddd-dd-ddTdd:dd:dd";
    const size_t shape_len = sizeof shape - 1;
    if (len <= shape_len || at[len - 1] != 'Z')
        return false;
    for (size_t i = 0; i < shape_len; i++)
        if (shape[i] != 'd' && at[i] != shape[i])
            return false;
    size_t fraction = len - 1 - shape_len;
    if (fraction > 0 && (at[shape_len] != '.' || fraction < 2 ||
                         strspn(at + shape_len + 1, "0123456789") != fraction - 1))
        return false;
    int year = digits(at, 4), month = digits(at + 5, 2), day = digits(at + 8, 2);
    int hour = digits(at + 11, 2), minute = digits(at + 14, 2), second = digits(at + 17, 2);
    if (year < 1970 || month < 1 || month > 12 || day < 1 || day > days_in_month(year, month) ||
        hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60)
        return false;
    struct tm tm = {.tm_year = year - 1900,
                    .tm_mon = month - 1,
                    .tm_mday = day,
                    .tm_hour = hour,
                    .tm_min = minute,
                    .tm_sec = second};
    *ret = (int64_t)timegm(&tm);
    return true;
}

static bool is_offset(const char *at) {
    return (at[0] == '+' || at[0] == '-') && digits(at + 1, 2) >= 0 && at[3] == ':' &&
           digits(at + 4, 2) >= 0;
}

bool iso8601_parse_offset(const char *at, size_t len, int64_t *ret) {
    char utc[64];
    bool named = len > 3 && memcmp(at + len - 3, "UTC", 3) == 0;
    size_t zone = named ? 3 : OFFSET_LEN;
    if (len <= zone || len >= sizeof utc || at[len - 1] == 'Z')
        return iso8601_parse(at, len, ret);
    const char *offset = at + len - zone;
    memcpy(utc, at, len - zone);
    utc[len - zone] = 'Z';
    if ((!named && !is_offset(offset)) || !iso8601_parse(utc, len - zone + 1, ret))
        return false;
    int64_t seconds = named ? 0 : digits(offset + 1, 2) * 3600 + digits(offset + 4, 2) * 60;
    *ret -= offset[0] == '-' ? -seconds : seconds;
    return true;
}
