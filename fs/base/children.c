#include <maciefs/children.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The number by which a child is named, below a folder of `depth`. */
static unsigned child_number(hour_t child, unsigned depth) {
    return depth == 0   ? hour_year(child)
           : depth == 1 ? hour_month(child)
           : depth == 2 ? hour_day(child)
                        : hour_hour(child);
}

/* Where a year stands among the years, or would. */
static size_t year_place(const struct children *children, unsigned year) {
    size_t low = 0, high = children->year_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (children->years[middle] < year)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int add_year(struct children *children, unsigned year) {
    size_t i = year_place(children, year);
    if (i < children->year_count && children->years[i] == year)
        return 0;
    uint16_t *years = realloc(children->years, (children->year_count + 1) * sizeof *years);
    if (!years)
        return -ENOMEM;
    memmove(years + i + 1, years + i, (children->year_count - i) * sizeof *years);
    years[i] = (uint16_t)year;
    children->years = years;
    children->year_count++;
    return 0;
}

int children_add(struct children *children, hour_t child, unsigned depth) {
    if (depth == 0)
        return add_year(children, hour_year(child));
    children->mask |= UINT32_C(1) << child_number(child, depth);
    return 0;
}

bool children_has(const struct children *children, hour_t child, unsigned depth) {
    if (depth > 0)
        return children->mask >> child_number(child, depth) & 1;
    size_t i = year_place(children, hour_year(child));
    return i < children->year_count && children->years[i] == hour_year(child);
}

bool children_at(const struct children *children, hour_t folder, unsigned depth, size_t n,
                 hour_t *ret) {
    if (depth == 0) {
        if (n >= children->year_count)
            return false;
        *ret = hour_pack(children->years[n], 0, 0, 0);
        return true;
    }
    unsigned number = 0;
    for (uint32_t mask = children->mask;; mask >>= 1, number++) {
        if (mask == 0)
            return false;
        if ((mask & 1) && n-- == 0)
            break;
    }
    *ret = folder | number << (depth == 1 ? 10 : depth == 2 ? 5 : 0);
    return true;
}

void children_free(struct children *children) {
    free(children->years);
    *children = (struct children){0};
}
