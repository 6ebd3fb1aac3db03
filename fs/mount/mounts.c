#include <maciefs/mounts.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *mounts_listed_path(const char *path) {
    char *listed = malloc(4 * strlen(path) + 1);
    if (!listed)
        return NULL;
    char *to = listed;
    for (; *path; path++)
        if (strchr(" \t\n\\", *path))
            to += snprintf(to, 5, "\\%03o", (unsigned char)*path);
        else
            *to++ = *path;
    *to = '\0';
    return listed;
}

/* The n-th (from 0) word of a line; its length in *ret_len. */
static const char *word(const char *line, unsigned n, size_t *ret_len) {
    for (; n > 0 && *line; n--) {
        line += strcspn(line, " ");
        line += strspn(line, " ");
    }
    *ret_len = strcspn(line, " \n");
    return line;
}

static void copy_word(const char *line, unsigned n, char *ret, size_t size) {
    size_t len;
    const char *at = word(line, n, &len);
    snprintf(ret, size, "%.*s", (int)len, at);
}

/*
 * Words of a line: proc(5), /proc/pid/mountinfo: mount id, parent id, major:minor, root, mount
 * point, options, any number of fields, "-", type, source, …
 */
static void read_line(const char *line, struct mounted *ret) {
    const char *end = strstr(line, " - ");
    *ret = (struct mounted){.device = ""};
    copy_word(line, 2, ret->device, sizeof ret->device);
    if (!end)
        return;
    copy_word(end + 1, 1, ret->type, sizeof ret->type);
    copy_word(end + 1, 2, ret->source, sizeof ret->source);
}

bool mounts_find(const char *listed, struct mounted *ret) {
    FILE *file = fopen("/proc/self/mountinfo", "re");
    if (!file)
        return false;
    bool found = false;
    char *line = NULL;
    size_t size = 0, len;
    while (getline(&line, &size, file) >= 0) {
        const char *place = word(line, 4, &len);
        if (len != strlen(listed) || memcmp(place, listed, len) != 0)
            continue;
        read_line(line, ret);
        found = true;
    }
    free(line);
    fclose(file);
    return found;
}
