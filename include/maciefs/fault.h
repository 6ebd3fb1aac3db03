/*
 * A failure as a user should hear of it.
 *
 * Library code never logs. A function that can fail returns a negative errno, which its caller
 * decides by, and, where it takes a `struct fault *`, leaves there one sentence that says what went
 * wrong and what to do. Whoever ends the chain (main, the watcher, a FUSE operation) logs that
 * sentence, once. A fault is only written on failure.
 */
#ifndef MACIEFS_FAULT_H
#define MACIEFS_FAULT_H

#include <stdbool.h>

#define FAULT_TEXT_MAX 1024

struct fault {
    char text[FAULT_TEXT_MAX]; /* without a final newline; control characters are shown as '?' */
    bool denied; /* for want of a right: who talks to a user may show the policy that gives it */
};

/*
 * Writes the sentence into `fault`, which may be NULL, cutting it to fit; it is then of no denial.
 * Returns `err` (a negative errno), so that `return fault_set(fault, -EINVAL, "…")` reads well.
 */
int fault_set(struct fault *fault, int err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
