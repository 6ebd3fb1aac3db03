#include <maciefs/program.h>

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool can_run(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

bool program_find(const char *name, const char *folders, char ret[PATH_MAX]) {
    while (*folders) {
        size_t len = strcspn(folders, ":");
        int n = folders[0] == '/' ? snprintf(ret, PATH_MAX, "%.*s/%s", (int)len, folders, name)
                                  : PATH_MAX;
        if (n < PATH_MAX && can_run(ret))
            return true;
        folders += len + (folders[len] == ':');
    }
    return false;
}
