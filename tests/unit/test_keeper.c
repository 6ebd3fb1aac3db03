/*
 * Real mounts (root and /dev/fuse are needed) of a tiny file system: "file", whose bytes are known,
 * and "wait", which answers a read when a file called "go" exists, or when it is interrupted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <maciefs/channel.h>
#include <maciefs/keeper.h>

#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define FILE_NODE 41
#define WAIT_NODE 42
#define FILE_SIZE (96 * 1024 + 7)
#define WAIT_SIZE 100
#define SOURCE "s3://bucket/a, b\\c"
#define KILLS 200
#define READERS 4
#define PATIENCE 20000 /* attempts of a millisecond */

/* What the test, the keeper and the servers share. */
struct board {
    atomic_int keeper;    /* process id */
    atomic_int server;    /* of the latest that is ready */
    atomic_uint restarts; /* what it was told */
    atomic_uint waiting;  /* reads of "wait" begun */
    atomic_bool stop;     /* for readers */
    atomic_uint reads;
    atomic_uint replaced;
    struct fault why; /* of the last one */
    int err;          /* what keeper_run returned, and its fault */
    struct fault fault;
};

struct world {
    char folder[32], mountpoint[48], file[64], wait[64], go[64];
    struct config config;
    struct board *board;
    /* A server's ill fate by its number, or NULL: returns what serve shall. */
    int (*fate)(unsigned number, struct fault *fault);
    pid_t keeper;
};

static uint8_t byte_at(off_t offset) {
    return (uint8_t)(offset * 31 + offset / 251);
}

/* --- the file system ----------------------------------------------------------------------------
 */

static void fill_stat(fuse_ino_t ino, struct stat *st) {
    bool root = ino == FUSE_ROOT_ID;
    *st = (struct stat){.st_ino = ino,
                        .st_mode = root ? S_IFDIR | 0555 : S_IFREG | 0444,
                        .st_nlink = root ? 2 : 1,
                        .st_size = root               ? 0
                                   : ino == FILE_NODE ? FILE_SIZE
                                                      : WAIT_SIZE};
}

static void op_init(void *userdata, struct fuse_conn_info *conn) {
    (void)userdata;
    conn->max_write = 256 * 1024;
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name) {
    struct fuse_entry_param entry = {0};
    (void)parent;
    if (strcmp(name, "file") == 0)
        entry.ino = FILE_NODE;
    else if (strcmp(name, "wait") == 0)
        entry.ino = WAIT_NODE;
    else {
        fuse_reply_err(req, ENOENT);
        return;
    }
    fill_stat(entry.ino, &entry.attr);
    fuse_reply_entry(req, &entry);
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi) {
    struct stat st;
    (void)fi;
    fill_stat(ino, &st);
    fuse_reply_attr(req, &st, 0);
}

static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi) {
    (void)ino;
    fi->direct_io = 1;
    fuse_reply_open(req, fi);
}

static void set_flag(fuse_req_t req, void *data) {
    (void)req;
    atomic_store((atomic_bool *)data, true);
}

/* Returns whether "go" came before an interrupt. */
static bool wait_for_go(fuse_req_t req) {
    const struct world *world = fuse_req_userdata(req);
    atomic_bool interrupted = false;
    fuse_req_interrupt_func(req, set_flag, &interrupted);
    atomic_fetch_add(&world->board->waiting, 1);
    bool gone = false;
    while (!atomic_load(&interrupted) && !(gone = access(world->go, F_OK) == 0))
        usleep(1000);
    fuse_req_interrupt_func(req, NULL, NULL);
    return gone;
}

static void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                    struct fuse_file_info *fi) {
    static _Thread_local uint8_t bytes[FILE_SIZE];
    off_t end = ino == FILE_NODE ? FILE_SIZE : WAIT_SIZE;
    size_t len = offset >= end ? 0 : (size_t)(end - offset);
    (void)fi;
    if (ino == WAIT_NODE && !wait_for_go(req)) {
        fuse_reply_err(req, EINTR);
        return;
    }
    if (len > size)
        len = size;
    for (size_t i = 0; i < len; i++)
        bytes[i] = byte_at(offset + (off_t)i);
    fuse_reply_buf(req, (const char *)bytes, len);
}

static void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                       struct fuse_file_info *fi) {
    char entries[256];
    struct stat st;
    size_t len = 0;
    (void)ino, (void)fi;
    fill_stat(FILE_NODE, &st);
    if (offset == 0)
        len = fuse_add_direntry(req, entries, sizeof entries, "file", &st, 1);
    fuse_reply_buf(req, entries, len <= size ? len : 0);
}

static const struct fuse_lowlevel_ops ops = {.init = op_init,
                                             .lookup = op_lookup,
                                             .getattr = op_getattr,
                                             .open = op_open,
                                             .read = op_read,
                                             .readdir = op_readdir};

/* --- the server and the keeper ------------------------------------------------------------------
 */

struct readiness {
    struct board *board;
    const struct server_start *start;
};

static void pass_ready(void *ctx) {
    struct readiness *readiness = ctx;
    readiness->start->ready(readiness->start->ready_ctx);
    atomic_store(&readiness->board->restarts, readiness->start->restarts);
    atomic_store(&readiness->board->keeper, getppid());
    atomic_store(&readiness->board->server, getpid());
}

static int serve(void *ctx, const struct server_start *start, struct fault *fault) {
    struct world *world = ctx;
    struct readiness readiness = {world->board, start};
    char *argv[] = {"test", NULL};
    struct fuse_args args = FUSE_ARGS_INIT(1, argv);
    atomic_uint *lives = start->shared;
    if (atomic_fetch_add(lives, 1) != start->restarts)
        return fault_set(fault, -EIO, "the shared memory was not kept");
    int err = world->fate ? world->fate(start->restarts + 1, fault) : 0;
    if (err)
        return err;
    struct fuse_session *session = fuse_session_new(&args, &ops, sizeof ops, world);
    err = channel_serve(start->channel, session, pass_ready, &readiness);
    if (!err)
        fuse_session_destroy(session);
    return err;
}

static void note_replaced(void *ctx, const char *why) {
    struct board *board = ((struct world *)ctx)->board;
    snprintf(board->why.text, sizeof board->why.text, "%s", why);
    atomic_fetch_add(&board->replaced, 1);
}

/* The calling process as main would be. */
static int run(struct world *world) {
    const struct server server = {.serve = serve,
                                  .replaced = note_replaced,
                                  .ctx = world,
                                  .shared_size = sizeof(atomic_uint)};
    struct board *board = world->board;
    struct keeper *keeper = NULL;
    int err = keeper_mount(&world->config, SOURCE, &keeper, &board->fault);
    if (!err)
        err = keeper_run(keeper, &server, &board->fault);
    keeper_free(keeper);
    return err;
}

/* Runs it as a process of its own, whose exit status says how it went: 0, KEEPER_PARENT, 2. */
static pid_t fork_run(struct world *world) {
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid > 0)
        return pid;
    int err = run(world);
    if (err < 0)
        world->board->err = err;
    _exit(err < 0 ? 2 : err);
}

/* --- what the test sees -------------------------------------------------------------------------
 */

static bool is_mounted(const struct world *world, struct mntent *ret) {
    static char text[1024];
    struct mntent entry;
    bool found = false;
    FILE *file = setmntent("/proc/self/mounts", "re");
    assert_non_null(file);
    while (getmntent_r(file, &entry, text, sizeof text))
        if (strcmp(entry.mnt_dir, world->mountpoint) == 0) {
            found = true;
            if (ret)
                *ret = entry;
            break;
        }
    endmntent(file);
    return found;
}

static pid_t await_server(const struct world *world, pid_t before) {
    for (int i = 0; i < PATIENCE; i++) {
        pid_t pid = atomic_load(&world->board->server);
        if (pid != before)
            return pid;
        usleep(1000);
    }
    fail_msg("no server");
    return 0;
}

static void await_count(const atomic_uint *count, unsigned wanted) {
    for (int i = 0; i < PATIENCE && atomic_load(count) < wanted; i++)
        usleep(1000);
    assert_true(atomic_load(count) >= wanted);
}

static void await_gone(pid_t pid) {
    for (int i = 0; i < PATIENCE && kill(pid, 0) == 0; i++)
        usleep(1000);
    assert_int_equal(kill(pid, 0), -1);
}

static int exit_status(pid_t pid) {
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* The keeper has ended in good order, and nothing is left. */
static void expect_end(struct world *world) {
    pid_t keeper = world->keeper;
    world->keeper = 0;
    assert_int_equal(exit_status(keeper), 0);
    assert_false(is_mounted(world, NULL));
    await_gone(atomic_load(&world->board->server));
}

static void unmount(const struct world *world) {
    for (int i = 0; i < PATIENCE && umount2(world->mountpoint, 0) < 0; i++) {
        assert_int_equal(errno, EBUSY);
        usleep(1000);
    }
}

static bool bytes_right(const uint8_t *bytes, size_t len) {
    for (size_t i = 0; i < len; i++)
        if (bytes[i] != byte_at((off_t)i))
            return false;
    return true;
}

/* Returns NULL, or the call that failed. */
static const char *read_once(const char *path, off_t size, ino_t ino) {
    static uint8_t bytes[FILE_SIZE + 1];
    struct stat st;
    if (stat(path, &st) < 0 || st.st_size != size || st.st_ino != ino)
        return "stat";
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return "open";
    const char *failed = NULL;
    if (pread(fd, bytes, sizeof bytes, 0) != size || !bytes_right(bytes, (size_t)size))
        failed = "read";
    else if (fstat(fd, &st) < 0 || st.st_ino != ino)
        failed = "fstat";
    close(fd);
    return failed;
}

static void expect_file(const struct world *world) {
    const char *failed = read_once(world->file, FILE_SIZE, FILE_NODE);
    if (failed)
        fail_msg("%s: %s", failed, strerror(errno));
}

/* --- fixtures -----------------------------------------------------------------------------------
 */

static int set_up(void **state) {
    struct world *world = calloc(1, sizeof *world);
    snprintf(world->folder, sizeof world->folder, "/tmp/keeper.XXXXXX");
    assert_non_null(mkdtemp(world->folder));
    snprintf(world->mountpoint, sizeof world->mountpoint, "%s/a b", world->folder);
    snprintf(world->file, sizeof world->file, "%s/file", world->mountpoint);
    snprintf(world->wait, sizeof world->wait, "%s/wait", world->mountpoint);
    snprintf(world->go, sizeof world->go, "%s/go", world->folder);
    assert_int_equal(mkdir(world->mountpoint, 0755), 0);
    world->config = (struct config){
        .foreground = true, .mountpoint = world->mountpoint, .mount_options = "nosuid,nodev"};
    world->board =
        mmap(NULL, sizeof *world->board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(world->board, MAP_FAILED);
    *state = world;
    return 0;
}

static int tear_down(void **state) {
    struct world *world = *state;
    while (umount2(world->mountpoint, MNT_DETACH) == 0)
        ;
    if (world->keeper > 0) {
        kill(world->keeper, SIGTERM);
        waitpid(world->keeper, NULL, 0);
    }
    unlink(world->go);
    rmdir(world->mountpoint);
    rmdir(world->folder);
    munmap(world->board, sizeof *world->board);
    free(world);
    return 0;
}

static struct world *start(void **state) {
    struct world *world = *state;
    world->keeper = fork_run(world);
    await_server(world, 0);
    return world;
}

static void kill_server(struct world *world) {
    pid_t server = atomic_load(&world->board->server);
    assert_int_equal(kill(server, SIGKILL), 0);
    await_server(world, server);
}

/* --- readers ------------------------------------------------------------------------------------
 */

static pid_t start_reader(struct world *world) {
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid > 0)
        return pid;
    const char *failed = NULL;
    while (!failed && !atomic_load(&world->board->stop)) {
        failed = read_once(world->file, FILE_SIZE, FILE_NODE);
        atomic_fetch_add(&world->board->reads, 1);
    }
    if (failed)
        fprintf(stderr, "reader: %s: %s\n", failed, strerror(errno));
    _exit(failed ? 1 : 0);
}

static void ignore(int signal) {
    (void)signal;
}

/* Reads "wait"; exits with 0 for its bytes, else with errno. SIGINT is caught or deadly. */
static pid_t start_waiter(struct world *world, bool catches) {
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid > 0)
        return pid;
    struct sigaction action = {.sa_handler = catches ? ignore : SIG_DFL};
    sigaction(SIGINT, &action, NULL);
    uint8_t bytes[WAIT_SIZE];
    int fd = open(world->wait, O_RDONLY | O_CLOEXEC);
    ssize_t n = pread(fd, bytes, sizeof bytes, 0);
    if (n < 0)
        _exit(errno);
    _exit(n == WAIT_SIZE && bytes_right(bytes, WAIT_SIZE) ? 0 : 255);
}

static void say_go(const struct world *world) {
    int fd = open(world->go, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
}

/* --- tests: it goes on --------------------------------------------------------------------------
 */

static void it_is_mounted_under_its_name(void **state) {
    struct world *world = start(state);
    struct mntent entry;
    assert_true(is_mounted(world, &entry));
    assert_string_equal(entry.mnt_fsname, SOURCE);
    assert_string_equal(entry.mnt_type, "fuse.maciefs");
    assert_non_null(hasmntopt(&entry, "ro"));
    assert_non_null(hasmntopt(&entry, "nosuid"));
    expect_file(world);
    unmount(world);
    expect_end(world);
}

static void readers_see_no_kill(void **state) {
    struct world *world = start(state);
    pid_t readers[READERS];
    for (int i = 0; i < READERS; i++)
        readers[i] = start_reader(world);
    unsigned seed = 1;
    for (int i = 0; i < KILLS; i++) {
        usleep((useconds_t)rand_r(&seed) % 20000);
        kill_server(world);
    }
    unsigned reads = atomic_load(&world->board->reads);
    await_count(&world->board->reads, reads + 100);
    atomic_store(&world->board->stop, true);
    for (int i = 0; i < READERS; i++)
        assert_int_equal(exit_status(readers[i]), 0);
    print_message("%d kills, %u reads\n", KILLS, atomic_load(&world->board->reads));
    assert_int_equal(atomic_load(&world->board->restarts), KILLS);
    assert_int_equal(atomic_load(&world->board->replaced), KILLS);
    assert_non_null(strstr(world->board->why.text, "signal 9"));
    unmount(world);
    expect_end(world);
}

static void a_waiting_read_outlives_kills(void **state) {
    struct world *world = start(state);
    pid_t waiter = start_waiter(world, false);
    for (unsigned i = 1; i <= 5; i++) {
        await_count(&world->board->waiting, i);
        kill_server(world);
    }
    await_count(&world->board->waiting, 6);
    expect_file(world);
    say_go(world);
    assert_int_equal(exit_status(waiter), 0);
}

static void interrupt_waiter(struct world *world, unsigned kills) {
    pid_t deadly = start_waiter(world, false), catching = start_waiter(world, true);
    for (unsigned i = 0; i <= kills; i++) {
        await_count(&world->board->waiting, 2 * (i + 1));
        if (i < kills)
            kill_server(world);
    }
    int status;
    kill(deadly, SIGINT);
    assert_int_equal(waitpid(deadly, &status, 0), deadly);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
    kill(catching, SIGINT);
    assert_int_equal(exit_status(catching), EINTR);
}

static void ctrl_c_ends_a_waiting_read(void **state) {
    interrupt_waiter(start(state), 0);
}

static void ctrl_c_ends_a_read_that_is_served_again(void **state) {
    interrupt_waiter(start(state), 2);
}

/* The signal comes while no server lives. */
static void ctrl_c_is_not_lost_between_servers(void **state) {
    struct world *world = start(state);
    pid_t waiter = start_waiter(world, true);
    await_count(&world->board->waiting, 1);
    pid_t server = atomic_load(&world->board->server);
    kill(world->keeper, SIGSTOP);
    kill(server, SIGKILL);
    kill(waiter, SIGINT);
    usleep(10000);
    kill(world->keeper, SIGCONT);
    assert_int_equal(exit_status(waiter), EINTR);
}

static void the_server_outlives_the_keeper(void **state) {
    struct world *world = start(state);
    kill(world->keeper, SIGKILL);
    waitpid(world->keeper, NULL, 0);
    world->keeper = 0;
    expect_file(world);
    unmount(world);
    assert_int_equal(exit_status(atomic_load(&world->board->server)), 0);
}

static int second_fails(unsigned number, struct fault *fault) {
    return number == 2 ? fault_set(fault, -EIO, "the second has no luck") : 0;
}

static void a_later_server_that_cannot_start_is_replaced(void **state) {
    ((struct world *)*state)->fate = second_fails;
    struct world *world = start(state);
    kill_server(world);
    assert_int_equal(atomic_load(&world->board->restarts), 2);
    assert_int_equal(atomic_load(&world->board->replaced), 2);
    assert_string_equal(world->board->why.text, "the second has no luck");
    expect_file(world);
}

/* --- tests: it ends -----------------------------------------------------------------------------
 */

static void sigterm_to_the_keeper_unmounts(void **state) {
    struct world *world = start(state);
    kill(world->keeper, SIGTERM);
    expect_end(world);
}

static void sigterm_ends_it_while_a_file_is_open(void **state) {
    struct world *world = start(state);
    int fd = open(world->file, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    kill(world->keeper, SIGTERM);
    expect_end(world);
    close(fd);
}

static void sigterm_to_the_server_unmounts(void **state) {
    struct world *world = start(state);
    kill(atomic_load(&world->board->server), SIGTERM);
    expect_end(world);
}

static void another_mount_at_the_place_is_left_alone(void **state) {
    struct world *world = start(state);
    int fd = open(world->file, O_RDONLY | O_CLOEXEC);
    assert_int_equal(umount2(world->mountpoint, MNT_DETACH), 0);
    assert_int_equal(mount("other", world->mountpoint, "tmpfs", 0, "size=4k"), 0);
    kill(world->keeper, SIGTERM);
    assert_int_equal(exit_status(world->keeper), 0);
    world->keeper = 0;
    close(fd);
    struct mntent entry;
    assert_true(is_mounted(world, &entry));
    assert_string_equal(entry.mnt_type, "tmpfs");
}

/* --- tests: background --------------------------------------------------------------------------
 */

static void the_background_begins_when_it_works(void **state) {
    struct world *world = *state;
    world->config.foreground = false;
    assert_int_equal(exit_status(fork_run(world)), KEEPER_PARENT);
    expect_file(world);
    await_server(world, 0);
    world->keeper = atomic_load(&world->board->keeper);
    assert_int_equal(getsid(world->keeper), world->keeper);
    kill_server(world);
    expect_file(world);
    unmount(world);
    expect_end(world);
}

static int bucket_is_missing(unsigned number, struct fault *fault) {
    (void)number;
    fprintf(stderr, "a library's own words\n");
    return fault_set(fault, -ENXIO, "there is no such bucket");
}

static int dies_at_once(unsigned number, struct fault *fault) {
    (void)number, (void)fault;
    return raise(SIGKILL);
}

static void expect_failure(struct world *world, int err, const char *text) {
    assert_int_equal(exit_status(fork_run(world)), 2);
    assert_int_equal(world->board->err, err);
    if (!strstr(world->board->fault.text, text))
        fail_msg("\"%s\" without \"%s\"", world->board->fault.text, text);
    for (int i = 0; i < PATIENCE && is_mounted(world, NULL); i++)
        usleep(1000);
    assert_false(is_mounted(world, NULL));
    assert_int_equal(atomic_load(&world->board->replaced), 0);
}

static void a_failed_start_is_told_to_the_caller(void **state) {
    struct world *world = *state;
    world->fate = bucket_is_missing;
    world->config.foreground = false;
    expect_failure(world, -ENXIO, "there is no such bucket");
    /* The keeper, which is ours now, has told all. */
    int status;
    assert_true(waitpid(-1, &status, 0) > 0);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void a_failed_start_fails_in_the_foreground(void **state) {
    struct world *world = *state;
    world->fate = bucket_is_missing;
    expect_failure(world, -ENXIO, "there is no such bucket");
}

static void a_crash_at_the_start_is_a_failure(void **state) {
    struct world *world = *state;
    world->fate = dies_at_once;
    expect_failure(world, -EIO, "signal 9");
    world->config.foreground = false;
    expect_failure(world, -EIO, "signal 9");
    assert_true(waitpid(-1, NULL, 0) > 0);
}

/* --- tests: what cannot be mounted --------------------------------------------------------------
 */

/* Nothing is said on stderr: the fault says it. */
static void expect_silent_failure(struct world *world, int err, const char *text) {
    int said = memfd_create("stderr", MFD_CLOEXEC), kept = dup(STDERR_FILENO);
    dup2(said, STDERR_FILENO);
    pid_t pid = fork_run(world);
    dup2(kept, STDERR_FILENO);
    close(kept);
    assert_int_equal(exit_status(pid), 2);
    off_t size = lseek(said, 0, SEEK_END);
    close(said);
    if (world->board->err != err || !strstr(world->board->fault.text, text))
        fail_msg("%d \"%s\" without \"%s\"", world->board->err, world->board->fault.text, text);
    assert_int_equal(size, 0);
    assert_false(is_mounted(world, NULL));
}

static void unknown_options_are_named(void **state) {
    struct world *world = *state;
    world->config.mount_options = "nosuid,nonsense=1";
    expect_silent_failure(world, -EINVAL, "nonsense=1");
}

static void a_mount_point_that_is_gone_is_named(void **state) {
    struct world *world = *state;
    assert_int_equal(rmdir(world->mountpoint), 0);
    expect_silent_failure(world, -ENOENT, world->mountpoint);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(it_is_mounted_under_its_name),
        TEST(readers_see_no_kill),
        TEST(a_waiting_read_outlives_kills),
        TEST(ctrl_c_ends_a_waiting_read),
        TEST(ctrl_c_ends_a_read_that_is_served_again),
        TEST(ctrl_c_is_not_lost_between_servers),
        TEST(the_server_outlives_the_keeper),
        TEST(a_later_server_that_cannot_start_is_replaced),
        TEST(sigterm_to_the_keeper_unmounts),
        TEST(sigterm_ends_it_while_a_file_is_open),
        TEST(sigterm_to_the_server_unmounts),
        TEST(another_mount_at_the_place_is_left_alone),
        TEST(the_background_begins_when_it_works),
        TEST(a_failed_start_is_told_to_the_caller),
        TEST(a_failed_start_fails_in_the_foreground),
        TEST(a_crash_at_the_start_is_a_failure),
        TEST(unknown_options_are_named),
        TEST(a_mount_point_that_is_gone_is_named),
    };
    /* Keepers that went to the background are waited for here. */
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    keeper_free(NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
