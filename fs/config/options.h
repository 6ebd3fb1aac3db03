/* What the parts of the command line's parser share. */
#ifndef MACIEFS_OPTIONS_H
#define MACIEFS_OPTIONS_H

#include <maciefs/config.h>
#include <stddef.h>

/* maciefs's own option. What it takes reads well behind "takes ". */
struct option {
    const char *name;
    const char *takes;    /* "seconds from 0.1 to 3600"; NULL for a switch */
    const char *example;  /* a value that it takes */
    const char *standard; /* what holds without it, for people */
    const char *help;
    int (*set)(struct config *config, const char *value); /* 0, -EINVAL or -ENOMEM */
};

extern const struct option OPTIONS[];
extern const size_t OPTION_COUNT;

/*
 * Takes one list as it stands behind `-o`. `by_mount` says that mount(8) wrote it, whose `rw` means
 * nothing. Returns 0, or -EINVAL or -ENOMEM with a fault.
 */
int options_take(struct config *config, const char *list, bool by_mount, struct fault *fault);

/* What becomes of an option that is not maciefs's own. */
enum foreign_fate { FOREIGN_UNKNOWN, FOREIGN_KEEP, FOREIGN_DROP, FOREIGN_REFUSE };

/* Looks an option of mount(8) or libfuse up. A refusal comes with its reason. */
enum foreign_fate foreign_fate(const char *name, bool has_value, const char **ret_reason);

/*
 * Adds an option that the mount is made with, as it was written. Of two that disagree the later
 * counts with those who read the list. Returns 0 or -ENOMEM.
 */
int foreign_keep(struct config *config, const char *text);

/* The known option that `name` may be a slip of; NULL where none is near. */
const char *options_nearest(const char *name);
const char *foreign_nearest(const char *name, unsigned *distance);

/* The fewest single letters to change, leave out, put in or swap with the next. */
unsigned edit_distance(const char *a, const char *b);

/* Reads a whole text of digits. Returns 0, -EINVAL or -ERANGE. */
int units_number(const char *text, unsigned base, uint64_t *ret);

#endif
