/* What is mounted where, by /proc/self/mountinfo. */
#ifndef MACIEFS_MOUNTS_H
#define MACIEFS_MOUNTS_H

#include <stdbool.h>

#define MOUNTS_DEVICE_MAX 32
#define MOUNTS_NAME_MAX 256

/* A file system that is mounted. */
struct mounted {
    char device[MOUNTS_DEVICE_MAX]; /* "major:minor" */
    char type[MOUNTS_NAME_MAX];     /* "fuse.maciefs" */
    char source[MOUNTS_NAME_MAX];   /* as it is listed, and cut to fit */
};

/* A path as it is listed: white space and backslashes as \ooo. On the heap; NULL without memory. */
char *mounts_listed_path(const char *path);

/* Finds what is on top at a place (a listed path). False where nothing is mounted there. */
bool mounts_find(const char *listed, struct mounted *ret);

#endif
