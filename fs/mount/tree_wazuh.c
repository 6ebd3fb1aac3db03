/*
 * wazuh/: one file an hour of the window. Its size is 0 whatever it holds, as that of files under
 * /proc, and it is opened with direct I/O: that alone makes Wazuh read it from its first byte.
 */
#include "tree_wazuh.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define ENDING ".json"
#define NAME_LEN (HOUR_PATH_LEN + sizeof ENDING - 1)

/* "2026-11-24-05.json" */
static void name_of_hour(hour_t hour, char ret[NAME_LEN + 1]) {
    char path[HOUR_PATH_LEN + 1];
    hour_path(hour, HOUR_DEPTH, path);
    for (char *slash; (slash = strchr(path, '/'));)
        *slash = '-';
    snprintf(ret, NAME_LEN + 1, "%s" ENDING, path);
}

static bool hour_of_name(const char *name, hour_t *ret) {
    char key[HOUR_PATH_LEN + 2];
    if (strlen(name) != NAME_LEN || strcmp(name + HOUR_PATH_LEN, ENDING) != 0)
        return false;
    for (size_t i = 0; i < HOUR_PATH_LEN; i++)
        key[i] = name[i] == '-' ? '/' : name[i] == '/' ? '-' : name[i];
    memcpy(key + HOUR_PATH_LEN, "/", 2);
    return hour_of_key(key, ret);
}

int tree_wazuh_lookup(struct tree *tree, const char *name, struct node *ret) {
    hour_t hour;
    if (!hour_of_name(name, &hour) || !wazuh_shows(tree->wazuh, hour))
        return -ENOENT;
    *ret = (struct node){.kind = NODE_WAZUH_LOG, .hour = hour};
    return 0;
}

int tree_wazuh_attributes(struct tree *tree, hour_t hour, struct stat *ret) {
    struct log_state state;
    if (!wazuh_shows(tree->wazuh, hour))
        return -ENOENT;
    int err = wazuh_state(tree->wazuh, hour, &state);
    if (!err)
        ret->st_mtime = state.known ? (time_t)state.modified : hour_start_past(hour);
    return err;
}

int tree_wazuh_list(struct tree *tree, uint64_t after, tree_visitor visit, void *ctx) {
    hour_t hour, last;
    bool more = true;
    wazuh_window(tree->wazuh, &hour, &last);
    for (; more && hour <= last; hour = hour_add(hour, 1)) {
        char name[NAME_LEN + 1];
        const struct node log = {.kind = NODE_WAZUH_LOG, .hour = hour};
        if ((uint64_t)hour + 1 <= after)
            continue;
        name_of_hour(hour, name);
        more = visit(ctx, name, &log, (uint64_t)hour + 1);
    }
    return 0;
}
