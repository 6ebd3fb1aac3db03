#include <maciefs/keeper.h>

#include <maciefs/channel.h>
#include <maciefs/mountpoint.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define UNMOUNT_GRACE_MS 1000 /* for a server to see that it is unmounted */
#define SIGTERM_GRACE_MS 5000
#define QUICK_DEATH_MS 1000
#define QUICK_DEATHS_FREE 2
#define PAUSE_MIN_MS 100
#define PAUSE_MAX_MS 5000

/* How a start went: what the background keeper tells the process that called it. */
struct outcome {
    int err;
    struct fault fault;
};

/* Memory that all servers and the keeper share. */
struct lasting {
    atomic_uint ready;      /* the latest server that was: 1 is the first; 0: none yet */
    atomic_bool told;       /* the caller knows of it */
    struct outcome outcome; /* of the latest server that ended by itself */
    alignas(max_align_t) unsigned char shared[];
};

struct keeper {
    struct mountpoint *mountpoint;
    bool foreground;
    bool unmounts; /* this process is the one that does */
    struct channel *channel;
    struct lasting *lasting;
    size_t lasting_size;
    sigset_t awaited; /* SIGCHLD and those that ask for the end */
    sigset_t mask;    /* what was blocked before, and is in the servers */
    int caller;       /* pipe to the process that waits for the mount; -1 in the foreground */
};

/* --- small helpers -----------------------------------------------------------------------------
 */

static long long now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static void stdio_to_null(void) {
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0)
        return;
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        dup2(null, fd);
    if (null > STDERR_FILENO)
        close(null);
}

/* Both ends may die at any time; it fits into PIPE_BUF, so it comes whole or not at all. */
static int tell_caller(int pipe, const struct outcome *outcome) {
    return write(pipe, outcome, sizeof *outcome) == (ssize_t)sizeof *outcome ? 0 : -EPIPE;
}

/* --- the server process ------------------------------------------------------------------------
 */

struct attempt {
    struct keeper *keeper;
    unsigned restarts;
};

static void server_ready(void *ctx) {
    const struct attempt *attempt = ctx;
    struct lasting *lasting = attempt->keeper->lasting;
    atomic_store(&lasting->ready, attempt->restarts + 1);
    if (attempt->keeper->foreground || atomic_load(&lasting->told))
        return;
    stdio_to_null();
    /* Who interrupts a mount that is still starting does not want it any more. */
    if (tell_caller(attempt->keeper->caller, &(const struct outcome){0}) < 0)
        raise(SIGTERM);
    atomic_store(&lasting->told, true);
}

_Noreturn static void be_server(struct keeper *keeper, const struct server *server,
                                unsigned restarts) {
    signal(SIGPIPE, SIG_IGN);
    sigprocmask(SIG_SETMASK, &keeper->mask, NULL);
    struct attempt attempt = {keeper, restarts};
    struct outcome *outcome = &keeper->lasting->outcome;
    const struct server_start start = {.channel = keeper->channel,
                                       .shared = keeper->lasting->shared,
                                       .restarts = restarts,
                                       .ready = server_ready,
                                       .ready_ctx = &attempt};
    outcome->err = server->serve(server->ctx, &start, &outcome->fault);
    _exit(outcome->err ? EXIT_FAILURE : EXIT_SUCCESS);
}

/* --- waiting -----------------------------------------------------------------------------------
 */

/*
 * From here on signals are waited for, not handled. One that was ignored (nohup, a shell's
 * background job) stays so.
 */
static void take_signals(struct keeper *keeper) {
    static const int ends[] = {SIGTERM, SIGINT, SIGHUP};
    sigemptyset(&keeper->awaited);
    sigaddset(&keeper->awaited, SIGCHLD);
    signal(SIGCHLD, SIG_DFL);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        struct sigaction action;
        if (sigaction(ends[i], NULL, &action) == 0 && action.sa_handler == SIG_IGN)
            continue;
        signal(ends[i], SIG_DFL);
        sigaddset(&keeper->awaited, ends[i]);
    }
    sigprocmask(SIG_BLOCK, &keeper->awaited, &keeper->mask);
}

enum event { SERVER_ENDED, END_ASKED, TIME_OVER };

/* Waits until the server `pid` (0: none) ends, the end is asked for, or `ms` (-1: never) are over.
 */
static enum event await(const struct keeper *keeper, pid_t pid, long long ms, int *ret_status) {
    long long until = now_ms() + ms;
    for (;;) {
        if (pid > 0 && waitpid(pid, ret_status, WNOHANG) == pid)
            return SERVER_ENDED;
        long long left = ms < 0 ? 0 : until - now_ms();
        if (ms >= 0 && left <= 0)
            return TIME_OVER;
        struct timespec limit = {.tv_sec = left / 1000, .tv_nsec = left % 1000 * 1000000};
        int signal = sigtimedwait(&keeper->awaited, NULL, ms < 0 ? NULL : &limit);
        if (signal > 0 && signal != SIGCHLD)
            return END_ASKED;
    }
}

/* An open file can keep the connection alive after the unmount; then the server has to be told. */
static void end_server(struct keeper *keeper, pid_t pid) {
    int status;
    mountpoint_unmount(keeper->mountpoint);
    if (await(keeper, pid, UNMOUNT_GRACE_MS, &status) == SERVER_ENDED)
        return;
    kill(pid, SIGTERM);
    if (await(keeper, pid, SIGTERM_GRACE_MS, &status) == SERVER_ENDED)
        return;
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
}

/* --- how a server ended ------------------------------------------------------------------------
 */

enum end { ENDED_ORDERLY, DIED, KILLED };

static bool was_ready(const struct keeper *keeper, unsigned restarts) {
    return atomic_load(&keeper->lasting->ready) == restarts + 1;
}

/* SIGKILL of a server that was serving is somebody's will, and no sign that the next will fail. */
static enum end end_of(const struct keeper *keeper, int status, unsigned restarts) {
    if (!WIFSIGNALED(status))
        return WEXITSTATUS(status) == EXIT_SUCCESS ? ENDED_ORDERLY : DIED;
    if (WTERMSIG(status) == SIGTERM || WTERMSIG(status) == SIGINT)
        return ENDED_ORDERLY;
    return was_ready(keeper, restarts) && WTERMSIG(status) == SIGKILL ? KILLED : DIED;
}

/* Whether a server that was serving crashed, rather than being killed or failing to start. */
static bool is_crash(const struct keeper *keeper, int status, unsigned restarts) {
    return was_ready(keeper, restarts) && WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL;
}

/* Why a server died. Its own sentence comes first. */
static void explain_death(struct outcome *outcome, int status) {
    struct fault *fault = &outcome->fault;
    if (WIFSIGNALED(status))
        outcome->err = fault_set(fault, -EIO, "the serving process was ended by signal %d (%s)",
                                 WTERMSIG(status), strsignal(WTERMSIG(status)));
    else if (outcome->err == 0)
        outcome->err =
            fault_set(fault, -EIO, "the serving process ended with status %d", WEXITSTATUS(status));
    else if (fault->text[0] == '\0')
        fault_set(fault, outcome->err, "the serving process failed: %s", strerror(-outcome->err));
}

/* Runs one server to its end. Where it died, the outcome tells why. */
static enum end run_server(struct keeper *keeper, const struct server *server, unsigned restarts) {
    struct outcome *outcome = &keeper->lasting->outcome;
    *outcome = (struct outcome){0};
    pid_t pid = fork();
    if (pid == 0)
        be_server(keeper, server, restarts);
    if (pid < 0) {
        outcome->err = fault_set(&outcome->fault, -errno, "cannot start a serving process: %s",
                                 strerror(errno));
        return DIED;
    }
    /* The first server still needs stdio; the keeper does not. */
    if (restarts == 0 && !keeper->foreground)
        stdio_to_null();
    int status;
    if (await(keeper, pid, -1, &status) == END_ASKED) {
        end_server(keeper, pid);
        return ENDED_ORDERLY;
    }
    enum end end = end_of(keeper, status, restarts);
    if (end != ENDED_ORDERLY)
        explain_death(outcome, status);
    if (end == DIED && is_crash(keeper, status, restarts))
        channel_note_death(keeper->channel);
    return end;
}

/* A failed start is told to whoever waits for the mount: in the background not to our caller. */
static int give_up(struct keeper *keeper, const struct outcome *outcome, struct fault *fault) {
    mountpoint_unmount(keeper->mountpoint);
    if (keeper->foreground)
        return fault_set(fault, outcome->err, "%s", outcome->fault.text);
    tell_caller(keeper->caller, outcome);
    return 0;
}

/* Milliseconds to wait before the next server, after so many quick deaths in a row. */
static long long pause_ms(unsigned quick_deaths) {
    if (quick_deaths <= QUICK_DEATHS_FREE)
        return 0;
    unsigned doublings = quick_deaths - QUICK_DEATHS_FREE - 1;
    long long ms = doublings < 16 ? (long long)PAUSE_MIN_MS << doublings : PAUSE_MAX_MS;
    return ms < PAUSE_MAX_MS ? ms : PAUSE_MAX_MS;
}

/* --- the keeper --------------------------------------------------------------------------------
 */

static int keep(struct keeper *keeper, const struct server *server, struct fault *fault) {
    const struct outcome *outcome = &keeper->lasting->outcome;
    unsigned quick_deaths = 0;
    take_signals(keeper);
    for (unsigned restarts = 0;; restarts++) {
        long long started = now_ms();
        enum end end = run_server(keeper, server, restarts);
        if (end == ENDED_ORDERLY)
            break;
        if (atomic_load(&keeper->lasting->ready) == 0)
            return give_up(keeper, outcome, fault);
        if (server->replaced)
            server->replaced(server->ctx, outcome->fault.text);
        bool quick = end == DIED && now_ms() - started < QUICK_DEATH_MS;
        quick_deaths = quick ? quick_deaths + 1 : 0;
        if (await(keeper, 0, pause_ms(quick_deaths), NULL) == END_ASKED)
            break;
    }
    mountpoint_unmount(keeper->mountpoint);
    return 0;
}

/* In the calling process: waits until the mount works or has failed. */
static int await_outcome(struct keeper *keeper, int pipe, struct fault *fault) {
    struct outcome outcome;
    ssize_t n;
    do
        n = read(pipe, &outcome, sizeof outcome);
    while (n < 0 && errno == EINTR);
    if (n != (ssize_t)sizeof outcome)
        return fault_set(fault, -EIO, "the process that keeps the mount ended");
    if (outcome.err)
        return fault_set(fault, outcome.err, "%s", outcome.fault.text);
    keeper->unmounts = false;
    return KEEPER_PARENT;
}

static int keep_in_background(struct keeper *keeper, const struct server *server,
                              struct fault *fault) {
    int pipe[2];
    if (pipe2(pipe, O_CLOEXEC) < 0)
        return fault_set(fault, -errno, "cannot make a pipe: %s", strerror(errno));
    pid_t pid = fork();
    if (pid != 0) {
        close(pipe[1]);
        int err = pid < 0
                      ? fault_set(fault, -errno, "cannot go to the background: %s", strerror(errno))
                      : await_outcome(keeper, pipe[0], fault);
        close(pipe[0]);
        return err;
    }
    close(pipe[0]);
    keeper->caller = pipe[1];
    setsid();
    if (chdir("/") < 0) {
        struct outcome outcome = {.err = -errno};
        fault_set(&outcome.fault, 0, "cannot change to /: %s", strerror(errno));
        return give_up(keeper, &outcome, fault);
    }
    return keep(keeper, server, fault);
}

static int make_memory(struct keeper *keeper, size_t shared_size) {
    keeper->lasting_size = sizeof *keeper->lasting + shared_size;
    void *at =
        mmap(NULL, keeper->lasting_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED)
        return -ENOMEM;
    keeper->lasting = at;
    return channel_new(mountpoint_fd(keeper->mountpoint), &keeper->channel);
}

int keeper_mount(const struct config *config, const char *source, struct keeper **ret,
                 struct fault *fault) {
    struct keeper *keeper = calloc(1, sizeof *keeper);
    if (!keeper)
        return fault_set(fault, -ENOMEM, "memory is exhausted");
    int err = mountpoint_mount(config, source, &keeper->mountpoint, fault);
    if (err) {
        free(keeper);
        return err;
    }
    keeper->foreground = config->foreground;
    keeper->unmounts = true;
    keeper->caller = -1;
    *ret = keeper;
    return 0;
}

int keeper_run(struct keeper *keeper, const struct server *server, struct fault *fault) {
    int err = make_memory(keeper, server->shared_size);
    if (err)
        return fault_set(fault, err, "memory is exhausted");
    return keeper->foreground ? keep(keeper, server, fault)
                              : keep_in_background(keeper, server, fault);
}

void keeper_free(struct keeper *keeper) {
    if (!keeper)
        return;
    if (keeper->unmounts)
        mountpoint_unmount(keeper->mountpoint);
    mountpoint_free(keeper->mountpoint);
    channel_free(keeper->channel);
    if (keeper->lasting)
        munmap(keeper->lasting, keeper->lasting_size);
    if (keeper->caller >= 0)
        close(keeper->caller);
    free(keeper);
}
