/* What this machine has to have: room for logs, and FUSE. */
#include "examination.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <maciefs/mountpoint.h>
#include <maciefs/mounts.h>
#include <maciefs/program.h>
#include <maciefs/store.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Where mount(8) looks for its helpers, and where those look for programs. */
#define HELPER_FOLDERS "/sbin:/usr/sbin"
#define SYSTEM_FOLDERS "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* --- The cache folder ------------------------------------------------------------------------- */

static void write_owner(uid_t owner, char *ret, size_t size) {
    const struct passwd *user = getpwuid(owner);
    if (user)
        snprintf(ret, size, "%s", user->pw_name);
    else
        snprintf(ret, size, "user %ju", (uintmax_t)owner);
}

static void describe_place(const struct examination *examination, const struct store_place *place,
                           struct finding *finding) {
    const char *folder = examination->config->cache;
    char owner[64], room[SPAN_TEXT_MAX], used[SPAN_TEXT_MAX];
    write_owner(place->owner, owner, sizeof owner);
    write_size(place->free, room);
    write_size(place->used, used);
    if (place->made)
        fault_set(&finding->found, 0, "%s, of %s with mode %04o, has %s of logs; %s are free%s",
                  folder, owner, (unsigned)place->mode, used, room,
                  place->locked ? "; a mount that is running uses it" : "");
    else
        fault_set(&finding->found, 0, "%s will be made in %s, of %s; %s are free there", folder,
                  place->folder, owner, room);
}

static int judge_room(const struct examination *examination, const struct store_place *place,
                      struct finding *finding) {
    const struct config *config = examination->config;
    char size[SPAN_TEXT_MAX];
    if (place->free == 0)
        return fault_set(&finding->cure, DOCTOR_FAILED,
                         "there is no room for the logs in %s: free some, or name another folder "
                         "with cache=FOLDER",
                         place->folder);
    if (place->used + place->free >= config->cache_size)
        return DOCTOR_OK;
    write_size(config->cache_size, size);
    return fault_set(&finding->cure, DOCTOR_WARNING,
                     "cache_size is %s, which the disk has no room for: logs stop growing when it "
                     "is full, so give a smaller cache_size=, or another folder with cache=FOLDER",
                     size);
}

int examine_cache(void *patient, struct finding *finding) {
    const struct examination *examination = patient;
    const char *source = examination->source ? examination->source->name : NULL;
    struct store_place place;
    if (store_look(examination->config->cache, source, &place, &finding->cure) < 0)
        return DOCTOR_FAILED;
    describe_place(examination, &place, finding);
    int state = judge_room(examination, &place, finding);
    store_place_free(&place);
    return state;
}

/* --- The mount point -------------------------------------------------------------------------- */

static bool is_empty(const char *path) {
    DIR *dir = opendir(path);
    unsigned entries = 0;
    while (dir && readdir(dir))
        entries++;
    if (dir)
        closedir(dir);
    return entries <= 2; /* "." and ".." */
}

/* What lies there now. */
static int judge_mount_point(const char *path, struct finding *finding) {
    char *listed = mounts_listed_path(path);
    struct mounted top;
    bool mounted = listed && mounts_find(listed, &top);
    free(listed);
    if (mounted) {
        fault_set(&finding->found, 0, "%s has %s mounted, of type %s", path, top.source, top.type);
        return fault_set(&finding->cure, DOCTOR_WARNING,
                         "a mount on %s would hide the one that is there: umount it first", path);
    }
    if (geteuid() != 0 && access(path, W_OK) < 0)
        return fault_set(&finding->cure, DOCTOR_FAILED,
                         "an ordinary user can only mount on a folder that he may write to: give "
                         "him %s (chown), or mount as root",
                         path);
    if (is_empty(path))
        return fault_set(&finding->found, DOCTOR_OK, "%s is an empty folder", path);
    fault_set(&finding->found, 0, "%s is not empty", path);
    return fault_set(&finding->cure, DOCTOR_WARNING,
                     "what is in %s cannot be seen while it is mounted: name an empty folder",
                     path);
}

int examine_mount_point(void *patient, struct finding *finding) {
    const struct examination *examination = patient;
    const struct config *config = examination->config;
    char *path;
    if (!config->mountpoint)
        return fault_set(&finding->found, DOCTOR_NOT_ASKED, "no MOUNTPOINT was named");
    if (config_find_mountpoint(config, config->mountpoint, &path, &finding->cure) < 0)
        return DOCTOR_FAILED;
    int state = judge_mount_point(path, finding);
    free(path);
    return state;
}

/* --- FUSE ------------------------------------------------------------------------------------- */

int examine_fuse(void *patient, struct finding *finding) {
    (void)patient;
    char mounter[PATH_MAX];
    if (mountpoint_check_device(&finding->cure) < 0 ||
        mountpoint_check_mounter(mounter, &finding->cure) < 0)
        return DOCTOR_FAILED;
    return fault_set(&finding->found, DOCTOR_OK, "/dev/fuse can be opened; %s mounts",
                     mounter[0] ? mounter : "root");
}

/* mount(8) runs mount.fuse.maciefs, else mount.fuse, which runs the program that the type names. */
int examine_mount_helper(void *patient, struct finding *finding) {
    (void)patient;
    char helper[PATH_MAX], program[PATH_MAX];
    if (program_find("mount.fuse.maciefs", HELPER_FOLDERS, helper))
        return fault_set(&finding->found, DOCTOR_OK, "%s", helper);
    bool installed = program_find("maciefs", SYSTEM_FOLDERS, program);
    if (installed && program_find("mount.fuse", HELPER_FOLDERS, helper))
        return fault_set(&finding->found, DOCTOR_OK, "%s, which runs %s", helper, program);
    return fault_set(&finding->cure, DOCTOR_WARNING,
                     "mount -t fuse.maciefs and /etc/fstab would not work: %s",
                     installed ? "install the package fuse3" : "install maciefs (make install)");
}

int examine_allow_other(void *patient, struct finding *finding) {
    const struct examination *examination = patient;
    if (!examination->config->allow_other)
        return fault_set(&finding->found, DOCTOR_NOT_ASKED,
                         "nobody but the user who mounts is let in");
    if (mountpoint_check_allow_other(&finding->cure) < 0)
        return DOCTOR_FAILED;
    return fault_set(&finding->found, DOCTOR_OK, "others are let in, as permissions allow");
}
