#include "options.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

/* Reads digits up to `end`; at least one, and nothing else. */
static int read_number(const char *text, const char *end, unsigned base, uint64_t *ret) {
    uint64_t value = 0;
    if (text == end)
        return -EINVAL;
    for (; text < end; text++) {
        if (*text < '0' || *text >= (char)('0' + base))
            return -EINVAL;
        unsigned digit = (unsigned)(*text - '0');
        if (value > (UINT64_MAX - digit) / base)
            return -ERANGE;
        value = value * base + digit;
    }
    *ret = value;
    return 0;
}

int units_number(const char *text, unsigned base, uint64_t *ret) {
    return read_number(text, text + strlen(text), base, ret);
}

/* The power of two that a unit stands for; -1 for what is no unit. */
static int unit_shift(const char *unit) {
    static const char LETTERS[] = "KMGT";
    if (!*unit)
        return 0;
    const char *letter = strchr(LETTERS, *unit & ~0x20);
    if (!letter || !*letter)
        return -1;
    unit++;
    unit += *unit == 'i' && (unit[1] == 'B' || unit[1] == 'b');
    unit += *unit == 'B' || *unit == 'b';
    return *unit ? -1 : (int)(letter - LETTERS + 1) * 10;
}

int config_size(const char *text, uint64_t *ret) {
    const char *unit = text + strspn(text, "0123456789");
    int shift = unit_shift(unit);
    if (shift < 0 || unit == text)
        return -EINVAL;
    uint64_t value;
    int err = read_number(text, unit, 10, &value);
    if (err)
        return err;
    if (value > UINT64_MAX >> shift)
        return -ERANGE;
    *ret = value << shift;
    return 0;
}

int config_seconds(const char *text, unsigned *ret_ms) {
    const char *point = text + strspn(text, "0123456789");
    uint64_t seconds, thousandths = 0;
    int err = read_number(text, point, 10, &seconds);
    if (err)
        return err;
    if (*point) {
        size_t decimals = strlen(point + 1);
        if (*point != '.' || decimals > 3 || units_number(point + 1, 10, &thousandths) != 0)
            return -EINVAL;
        for (; decimals < 3; decimals++)
            thousandths *= 10;
    }
    if (seconds > (UINT_MAX - thousandths) / 1000)
        return -ERANGE;
    *ret_ms = (unsigned)(seconds * 1000 + thousandths);
    return 0;
}

int config_duration(const char *text, unsigned *ret_s) {
    static const struct {
        char letter;
        unsigned seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
    const char *unit = text + strspn(text, "0123456789");
    uint64_t value;
    int err = read_number(text, unit, 10, &value);
    for (size_t i = 0; !err && i < sizeof units / sizeof *units; i++) {
        if (*unit != units[i].letter || unit[1])
            continue;
        if (value > UINT_MAX / units[i].seconds)
            return -ERANGE;
        *ret_s = (unsigned)value * units[i].seconds;
        return 0;
    }
    return err ? err : -EINVAL;
}
