/*
 * Programs in a list of folders, as PATH has it.
 */
#ifndef MACIEFS_PROGRAM_H
#define MACIEFS_PROGRAM_H

#include <limits.h>
#include <stdbool.h>

/*
 * Finds the first file of that name that this user may run. `folders`: absolute paths parted by
 * ':'; others are passed over. Writes its path.
 */
bool program_find(const char *name, const char *folders, char ret[PATH_MAX]);

#endif
