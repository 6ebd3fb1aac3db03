/*
 * The channel without a kernel: the test plays it, on one end of a socket pair that keeps message
 * boundaries as /dev/fuse does. Servers are forked, so that they can be killed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <maciefs/channel.h>

#include <dirent.h>
#include <errno.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define ALLOW_MMAP_BIT                                                                             \
    (1U << (36 - 32)) /* linux/fuse.h 7.39: FUSE_DIRECT_IO_ALLOW_MMAP in flags2 */
#define BLOCKING_NODE 7
#define DEADLY_NODE 8
#define KILLING_NODE 9
#define IDLE_THREADS 8
#define PATIENCE 20000 /* attempts of a millisecond */

/* What the test and its servers share. */
struct board {
    atomic_uint waiting;  /* GETATTRs of BLOCKING_NODE under way */
    atomic_bool released; /* they may answer */
    atomic_uint lookups, forgets, inits;
    atomic_bool ready;
};

struct kernel {
    int ends[2]; /* ours, the servers' */
    struct channel *channel;
    struct board *board;
    pid_t server;
};

/* --- the file system ----------------------------------------------------------------------------
 */

static void op_init(void *userdata, struct fuse_conn_info *conn) {
    struct board *board = userdata;
    conn->max_write = 256 * 1024;
    atomic_fetch_add(&board->inits, 1);
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name) {
    struct board *board = fuse_req_userdata(req);
    (void)parent, (void)name;
    atomic_fetch_add(&board->lookups, 1);
    fuse_reply_err(req, ENOENT);
}

static void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t nlookup) {
    struct board *board = fuse_req_userdata(req);
    (void)ino, (void)nlookup;
    atomic_fetch_add(&board->forgets, 1);
    fuse_reply_none(req);
}

static void die_of_interrupt(fuse_req_t req, void *data) {
    (void)req, (void)data;
    raise(SIGKILL);
}

static void await_release(struct board *board) {
    atomic_fetch_add(&board->waiting, 1);
    while (!atomic_load(&board->released))
        usleep(1000);
}

/* As from a slow disk: nobody steps aside. */
static void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                    struct fuse_file_info *fi) {
    (void)ino, (void)size, (void)offset, (void)fi;
    await_release(fuse_req_userdata(req));
    fuse_reply_buf(req, NULL, 0);
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi) {
    struct board *board = fuse_req_userdata(req);
    (void)fi;
    if (ino == KILLING_NODE)
        raise(SIGKILL);
    if (ino == DEADLY_NODE)
        fuse_req_interrupt_func(req, die_of_interrupt, NULL);
    if (ino == BLOCKING_NODE || ino == DEADLY_NODE) {
        channel_step_aside();
        await_release(board);
    }
    struct stat st = {.st_ino = ino, .st_mode = S_IFREG | 0444};
    fuse_reply_attr(req, &st, 0);
}

static const struct fuse_lowlevel_ops ops = {
    .init = op_init,
    .lookup = op_lookup,
    .forget = op_forget,
    .getattr = op_getattr,
    .read = op_read,
};

/* --- servers ------------------------------------------------------------------------------------
 */

static void set_ready(void *ctx) {
    struct board *board = ctx;
    atomic_store(&board->ready, true);
}

static int serve(struct kernel *kernel) {
    char *argv[] = {"test", NULL};
    struct fuse_args args = FUSE_ARGS_INIT(1, argv);
    struct fuse_session *session = fuse_session_new(&args, &ops, sizeof ops, kernel->board);
    int err = channel_serve(kernel->channel, session, set_ready, kernel->board);
    fuse_session_destroy(session);
    return err;
}

static void start_server(struct kernel *kernel) {
    kernel->server = fork();
    assert_true(kernel->server >= 0);
    if (kernel->server > 0)
        return;
    close(kernel->ends[0]);
    _exit(-serve(kernel));
}

/* Returns waitpid's status. */
static int await_server(struct kernel *kernel) {
    int status = 0;
    assert_int_equal(waitpid(kernel->server, &status, 0), kernel->server);
    kernel->server = 0;
    return status;
}

static void kill_server(struct kernel *kernel) {
    kill(kernel->server, SIGKILL);
    await_server(kernel);
}

/* --- the kernel ---------------------------------------------------------------------------------
 */

static void *share(size_t size) {
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(at, MAP_FAILED);
    return at;
}

static int set_up(void **state) {
    struct kernel *kernel = calloc(1, sizeof *kernel);
    kernel->board = share(sizeof *kernel->board);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, kernel->ends), 0);
    struct timeval limit = {.tv_sec = 20};
    setsockopt(kernel->ends[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    assert_int_equal(channel_new(kernel->ends[1], &kernel->channel), 0);
    *state = kernel;
    return 0;
}

static int tear_down(void **state) {
    struct kernel *kernel = *state;
    if (kernel->server > 0)
        kill_server(kernel);
    channel_free(kernel->channel);
    munmap(kernel->board, sizeof *kernel->board);
    close(kernel->ends[0]);
    close(kernel->ends[1]);
    free(kernel);
    return 0;
}

static void ask(struct kernel *kernel, uint32_t opcode, uint64_t unique, uint64_t node,
                const void *arg, size_t arg_len) {
    uint8_t message[512];
    struct fuse_in_header header = {.len = (uint32_t)(sizeof header + arg_len),
                                    .opcode = opcode,
                                    .unique = unique,
                                    .nodeid = node};
    memcpy(message, &header, sizeof header);
    memcpy(message + sizeof header, arg, arg_len);
    assert_int_equal(send(kernel->ends[0], message, header.len, 0), header.len);
}

static void ask_init(struct kernel *kernel, uint32_t flags2) {
    struct fuse_init_in in = {.major = 7, .minor = 38, .max_readahead = 131072};
    in.flags = FUSE_MAX_PAGES | FUSE_BIG_WRITES | (flags2 ? FUSE_INIT_EXT : 0);
    in.flags2 = flags2;
    ask(kernel, FUSE_INIT, 2, 0, &in, sizeof in);
}

static void ask_getattr(struct kernel *kernel, uint64_t unique, uint64_t node) {
    struct fuse_getattr_in in = {0};
    ask(kernel, FUSE_GETATTR, unique, node, &in, sizeof in);
}

static void ask_interrupt(struct kernel *kernel, uint64_t unique) {
    struct fuse_interrupt_in in = {.unique = unique};
    ask(kernel, FUSE_INTERRUPT, unique | 1, 0, &in, sizeof in);
}

/* The next answer's header; what follows it into `body`. */
static struct fuse_out_header answer(struct kernel *kernel, void *body, size_t size) {
    uint8_t message[1024];
    struct fuse_out_header header = {0};
    ssize_t n = recv(kernel->ends[0], message, sizeof message, 0);
    assert_true(n >= (ssize_t)sizeof header);
    memcpy(&header, message, sizeof header);
    assert_int_equal(header.len, n);
    size_t len = (size_t)n - sizeof header;
    memcpy(body, message + sizeof header, len < size ? len : size);
    return header;
}

/* libfuse answers an interrupt that came too late with EAGAIN, in its own time: the kernel shrugs.
 */
static void expect_answer(struct kernel *kernel, uint64_t unique, int error) {
    struct fuse_attr_out body;
    struct fuse_out_header header;
    do
        header = answer(kernel, &body, sizeof body);
    while (header.unique & 1 && header.error == -EAGAIN);
    assert_int_equal(header.unique, unique);
    assert_int_equal(header.error, error);
}

static void expect_init_answer(struct kernel *kernel) {
    struct fuse_init_out out;
    struct fuse_out_header header = answer(kernel, &out, sizeof out);
    assert_int_equal(header.unique, 2);
    assert_int_equal(header.error, 0);
}

static void begin(struct kernel *kernel) {
    start_server(kernel);
    ask_init(kernel, 0);
    expect_init_answer(kernel);
}

static void await_count(const atomic_uint *count, unsigned wanted) {
    for (int i = 0; i < PATIENCE && atomic_load(count) < wanted; i++)
        usleep(1000);
    assert_int_equal(atomic_load(count), wanted);
}

/* The system call that a thread waits in; -1 where it runs. */
static long call_of(pid_t pid, const char *thread) {
    char text[512], *end = text;
    long call = -1;
    snprintf(text, sizeof text, "/proc/%d/task/%s/syscall", (int)pid, thread);
    FILE *file = fopen(text, "re");
    if (!file)
        return -1;
    if (fgets(text, sizeof text, file))
        call = strtol(text, &end, 10);
    fclose(file);
    return end == text ? -1 : call;
}

/* A server's threads beside its first. */
struct threads {
    unsigned count;
    unsigned reading; /* of them, those that wait for a request */
    unsigned parked;  /* for their turn, or for a lock */
};

/* A sanitizer's own threads are left out: they alone are in nanosleep(2), for usleep(3) is not. */
static struct threads threads_of(pid_t pid) {
    char path[64];
    struct threads threads = {0};
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (entry->d_name[0] == '.' || strtol(entry->d_name, NULL, 10) == pid)
            continue;
        long call = call_of(pid, entry->d_name);
        threads.count += call != SYS_nanosleep;
        threads.reading += call == SYS_read;
        threads.parked += call == SYS_futex;
    }
    closedir(dir);
    return threads;
}

/* Waits until one thread reads, as who has answered is not back at once. Returns what there is. */
static struct threads await_reader(pid_t pid) {
    struct threads now = {0};
    for (int i = 0; i < PATIENCE && now.reading != 1; i++) {
        usleep(1000);
        now = threads_of(pid);
    }
    assert_int_equal(now.reading, 1);
    return now;
}

/* Waits until one thread reads, no other has anything to do, and those that are too many ended. */
static void await_idle_threads(pid_t pid) {
    struct threads now = {0};
    for (int i = 0; i < PATIENCE; i++) {
        now = threads_of(pid);
        if (now.reading == 1 && now.count == now.parked + 1 && now.count <= IDLE_THREADS + 1)
            return;
        usleep(1000);
    }
    fail_msg("%u threads, %u of them read, %u are parked", now.count, now.reading, now.parked);
}

/* --- tests --------------------------------------------------------------------------------------
 */

static void init_keeps_writes_small_and_reads_large(void **state) {
    struct kernel *kernel = *state;
    struct fuse_init_out out = {0};
    start_server(kernel);
    ask_init(kernel, ALLOW_MMAP_BIT | 1);
    assert_int_equal(answer(kernel, &out, sizeof out).error, 0);
    assert_int_equal(out.max_write, 4096);
    assert_int_equal(out.max_pages, 64);
    assert_true(out.flags & FUSE_MAX_PAGES);
    assert_true(out.flags & FUSE_INIT_EXT);
    assert_int_equal(out.flags2, ALLOW_MMAP_BIT);
}

static void init_asks_for_nothing_that_was_not_offered(void **state) {
    struct kernel *kernel = *state;
    struct fuse_init_out out = {.flags2 = 99};
    start_server(kernel);
    ask_init(kernel, 1);
    assert_int_equal(answer(kernel, &out, sizeof out).error, 0);
    assert_int_equal(out.flags2, 0);
    assert_int_equal(out.max_write, 4096);
}

static void each_server_is_told_init_again(void **state) {
    struct kernel *kernel = *state;
    begin(kernel);
    for (unsigned i = 2; i < 5; i++) {
        await_idle_threads(kernel->server);
        kill_server(kernel);
        atomic_store(&kernel->board->ready, false);
        start_server(kernel);
        expect_init_answer(kernel);
        ask(kernel, FUSE_LOOKUP, 10 * i, 1, "name", 5);
        expect_answer(kernel, 10 * i, -ENOENT);
        assert_true(atomic_load(&kernel->board->ready));
        assert_int_equal(atomic_load(&kernel->board->inits), i);
    }
}

static void a_request_outlives_the_server_that_took_it(void **state) {
    struct kernel *kernel = *state;
    begin(kernel);
    for (unsigned i = 0; i < 5; i++)
        ask_getattr(kernel, 10 + 2 * i, BLOCKING_NODE);
    for (unsigned servers = 1; servers <= 10; servers++) {
        await_count(&kernel->board->waiting, 5 * servers);
        kill_server(kernel);
        start_server(kernel);
        expect_init_answer(kernel);
    }
    await_count(&kernel->board->waiting, 55);
    atomic_store(&kernel->board->released, true);
    unsigned answered = 0;
    for (unsigned i = 0; i < 5; i++) {
        struct fuse_attr_out body;
        struct fuse_out_header header = answer(kernel, &body, sizeof body);
        assert_int_equal(header.error, 0);
        assert_int_equal(body.attr.ino, BLOCKING_NODE);
        answered |= 1U << (header.unique - 10) / 2;
    }
    assert_int_equal(answered, 0x1f);
}

static void what_was_answered_is_not_served_again(void **state) {
    struct kernel *kernel = *state;
    struct fuse_forget_in forget = {.nlookup = 1};
    begin(kernel);
    ask(kernel, FUSE_LOOKUP, 10, 1, "name", 5);
    expect_answer(kernel, 10, -ENOENT);
    ask(kernel, FUSE_FORGET, 12, 5, &forget, sizeof forget);
    await_count(&kernel->board->forgets, 1);
    /* A slot is emptied after the last trace that is seen from here. */
    await_idle_threads(kernel->server);
    kill_server(kernel);
    start_server(kernel);
    expect_init_answer(kernel);
    ask(kernel, FUSE_LOOKUP, 14, 1, "name", 5);
    expect_answer(kernel, 14, -ENOENT);
    assert_int_equal(atomic_load(&kernel->board->forgets), 1);
    assert_int_equal(atomic_load(&kernel->board->lookups), 2);
}

/* The server dies in the very call that INTERRUPT leads to: it lies in a slot as well. */
static void an_interrupt_outlives_the_server(void **state) {
    struct kernel *kernel = *state;
    begin(kernel);
    ask_getattr(kernel, 10, DEADLY_NODE);
    ask_getattr(kernel, 12, BLOCKING_NODE);
    await_count(&kernel->board->waiting, 2);
    ask_interrupt(kernel, 10);
    assert_true(WIFSIGNALED(await_server(kernel)));
    start_server(kernel);
    expect_init_answer(kernel);
    expect_answer(kernel, 10, -EINTR);
    await_count(&kernel->board->waiting, 3);
    atomic_store(&kernel->board->released, true);
    expect_answer(kernel, 12, 0);
}

/* It kills the server, dies with it as often as it may, and then it alone is answered an error. */
static void a_request_that_kills_is_given_up(void **state) {
    struct kernel *kernel = *state;
    begin(kernel);
    ask_getattr(kernel, 10, KILLING_NODE);
    ask_getattr(kernel, 12, BLOCKING_NODE);
    for (unsigned death = 0; death < CHANNEL_DEATHS_MAX; death++) {
        int status = await_server(kernel);
        assert_true(WIFSIGNALED(status));
        channel_note_death(kernel->channel);
        if (death == 0)
            ask_getattr(kernel, 14, BLOCKING_NODE);
        start_server(kernel);
        expect_init_answer(kernel);
    }
    atomic_store(&kernel->board->released, true);
    struct fuse_attr_out body;
    unsigned answered = 0;
    /* Threads answer, in any order. */
    for (int i = 0; i < 3; i++) {
        struct fuse_out_header header = answer(kernel, &body, sizeof body);
        assert_true(header.unique == 10 || header.unique == 12 || header.unique == 14);
        /* Who was out at that many deaths is given up, and the second may have been. */
        if (header.unique != 12)
            assert_int_equal(header.error, header.unique == 10 ? -EIO : 0);
        answered |= 1u << header.unique;
    }
    assert_int_equal(answered, 1u << 10 | 1u << 12 | 1u << 14);
}

static void a_waiting_request_leaves_a_reader(void **state) {
    struct kernel *kernel = *state;
    const unsigned many = 200;
    begin(kernel);
    for (unsigned i = 0; i < many; i++)
        ask_getattr(kernel, 10 + 2 * i, BLOCKING_NODE);
    await_count(&kernel->board->waiting, many);
    ask(kernel, FUSE_LOOKUP, 1000, 1, "name", 5);
    expect_answer(kernel, 1000, -ENOENT);
    assert_true(await_reader(kernel->server).count > many);
    kill_server(kernel);
    start_server(kernel);
    expect_init_answer(kernel);
    await_count(&kernel->board->waiting, 2 * many);
    atomic_store(&kernel->board->released, true);
    for (unsigned left = many; left > 0;) {
        struct fuse_attr_out body;
        struct fuse_out_header header = answer(kernel, &body, sizeof body);
        /* Who was killed right behind its answer gives it once more: the kernel shrugs. */
        if (header.unique == 1000)
            continue;
        assert_int_equal(header.error, 0);
        left--;
    }
    await_idle_threads(kernel->server);
}

/* Whoever asks one thing after another is answered by one thread, which others leave alone. */
static void one_thread_reads_where_nothing_waits(void **state) {
    struct kernel *kernel = *state;
    begin(kernel);
    for (unsigned i = 0; i < 100; i++) {
        ask_getattr(kernel, 10 + 2 * i, 1);
        expect_answer(kernel, 10 + 2 * i, 0);
    }
    await_idle_threads(kernel->server);
    assert_int_equal(threads_of(kernel->server).count, 2);
}

static void reading_a_file_leaves_a_reader(void **state) {
    struct kernel *kernel = *state;
    const struct fuse_read_in body = {.size = 4096};
    begin(kernel);
    ask(kernel, FUSE_READ, 10, 1, &body, sizeof body);
    await_count(&kernel->board->waiting, 1);
    ask_getattr(kernel, 12, 1);
    expect_answer(kernel, 12, 0);
    atomic_store(&kernel->board->released, true);
    expect_answer(kernel, 10, 0);
}

static void what_is_no_request_ends_the_server(void **state) {
    struct kernel *kernel = *state;
    begin(kernel);
    assert_int_equal(send(kernel->ends[0], "short", 5, 0), 5);
    int status = await_server(kernel);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), EIO);
}

static void the_first_request_has_to_be_init(void **state) {
    struct kernel *kernel = *state;
    start_server(kernel);
    ask_getattr(kernel, 10, 1);
    int status = await_server(kernel);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), EPROTO);
    assert_false(atomic_load(&kernel->board->ready));
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(init_keeps_writes_small_and_reads_large),
        TEST(init_asks_for_nothing_that_was_not_offered),
        TEST(each_server_is_told_init_again),
        TEST(a_request_outlives_the_server_that_took_it),
        TEST(what_was_answered_is_not_served_again),
        TEST(an_interrupt_outlives_the_server),
        TEST(a_request_that_kills_is_given_up),
        TEST(a_waiting_request_leaves_a_reader),
        TEST(one_thread_reads_where_nothing_waits),
        TEST(reading_a_file_leaves_a_reader),
        TEST(what_is_no_request_ends_the_server),
        TEST(the_first_request_has_to_be_init),
    };
    channel_free(NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
