#include <maciefs/channel.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

/*
 * The kernel refuses to read into less than FUSE_MIN_READ_BUFFER, or than a WRITE of max_write
 * needs; with max_write at its least (fs/fuse/inode.c: 4096) the former is enough.
 */
#define REQUEST_MAX FUSE_MIN_READ_BUFFER
#define MAX_WRITE 4096

#define FIRST_THREADS 2
#define IDLE_MAX 8
#define THREAD_STACK (256 * 1024)

/* Since 7.39 (Linux 6.6); the headers may be older than the kernel. */
#ifndef FUSE_DIRECT_IO_ALLOW_MMAP
#define FUSE_DIRECT_IO_ALLOW_MMAP (1ULL << 36)
#endif

/* Holds a request while header.len, which the kernel writes, is not 0. */
union request {
    struct fuse_in_header header;
    uint8_t bytes[REQUEST_MAX];
};

struct channel {
    union request init;
    union request slots[CHANNEL_SLOTS];
    _Atomic uint64_t interrupted[CHANNEL_SLOTS]; /* the slot's request if it has this `unique` */
    struct {
        uint64_t unique; /* the request that was held at that many deaths */
        unsigned count;
    } deaths[CHANNEL_SLOTS]; /* the keeper's, while no server runs */
    atomic_uint used;        /* slots from here on were never touched */
    int fd;
};

/*
 * The threads of one server. One of them leads: it alone waits for the kernel, so that each request
 * of a reader that makes one after another finds the same thread, awake and with warm caches. It
 * serves what it read and goes on, unless that may take a while: then another leads.
 */
struct crew {
    struct channel *channel;
    struct fuse_session *session;
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t turn;  /* nobody leads, or all is over */
    pthread_cond_t ended; /* some thread has */
    unsigned running;
    unsigned idle; /* of those, how many wait for their turn */
    bool led;
    bool over; /* there is nothing more to read */
    int err;   /* the first failure */
    struct seat {
        struct crew *crew;
        bool taken;
    } seats[CHANNEL_SLOTS]; /* one a slot */
};

/* The crew that this thread leads, or NULL. */
static _Thread_local struct crew *led_crew;

/* --- requests ----------------------------------------------------------------------------------
 */

static bool request_held(const union request *request) {
    return __atomic_load_n(&request->header.len, __ATOMIC_ACQUIRE) != 0;
}

static void request_empty(union request *request) {
    __atomic_store_n(&request->header.len, 0, __ATOMIC_RELEASE);
}

/* Reads the next request. Returns 0, -ENODEV once the file system is unmounted, or others. */
static int request_read(union request *request, int fd) {
    for (;;) {
        /* Both pages are made present, for the kernel's copy must not fail half-way. */
        request_empty(request);
        *(volatile uint8_t *)&request->bytes[REQUEST_MAX - 1] = 0;
        ssize_t n = read(fd, request, sizeof *request);
        if (n >= (ssize_t)sizeof request->header)
            return 0;
        if (n >= 0) {
            request_empty(request);
            return -EIO;
        }
        /* ENOENT: the request was interrupted before it was handed over (fs/fuse/dev.c). */
        if (errno != EINTR && errno != EAGAIN && errno != ENOENT)
            return -errno;
    }
}

static void request_process(const union request *request, struct fuse_session *session) {
    const struct fuse_buf buf = {.size = request->header.len, .mem = (void *)request->bytes};
    fuse_session_process_buf(session, &buf);
}

/* --- answers -----------------------------------------------------------------------------------
 */

/* The INIT that this thread is serving, else NULL: libfuse gives the hooks no context of ours. */
static _Thread_local const union request *init_served;

/* What libfuse 3.14 cannot say of itself. */
static void init_improve(struct fuse_init_out *out, const union request *request) {
    const struct fuse_init_in *in = (const void *)(request->bytes + sizeof request->header);
    if (out->max_write > MAX_WRITE)
        out->max_write = MAX_WRITE;
    bool extended = request->header.len >= sizeof request->header + sizeof *in &&
                    (in->flags & FUSE_INIT_EXT) != 0;
    if (extended && (in->flags2 & (FUSE_DIRECT_IO_ALLOW_MMAP >> 32)) != 0) {
        out->flags |= FUSE_INIT_EXT;
        out->flags2 |= FUSE_DIRECT_IO_ALLOW_MMAP >> 32;
    }
}

/* The kernel knows no such request any more: it was answered before, or interrupted. */
static bool answered_before(const struct fuse_out_header *answer) {
    return errno == ENOENT && answer->unique != 0;
}

static ssize_t answer_writev(int fd, struct iovec *iov, int count, void *userdata) {
    (void)userdata;
    const struct fuse_out_header *answer = iov[0].iov_base;
    if (init_served && count == 2 && iov[1].iov_len == sizeof(struct fuse_init_out))
        init_improve(iov[1].iov_base, init_served);
    ssize_t n = writev(fd, iov, count);
    return n < 0 && answered_before(answer) ? (ssize_t)answer->len : n;
}

/* Data go by splice only where an operation asks for it; notifications never do. */
static ssize_t answer_splice(int from, off_t *from_offset, int to, off_t *to_offset, size_t len,
                             unsigned flags, void *userdata) {
    (void)userdata;
    ssize_t n = splice(from, from_offset, to, to_offset, len, flags);
    return n < 0 && errno == ENOENT ? (ssize_t)len : n;
}

/* Never called: requests are read into their slots. libfuse insists on it. */
static ssize_t read_plainly(int fd, void *buf, size_t len, void *userdata) {
    (void)userdata;
    return read(fd, buf, len);
}

static int connect_session(struct channel *channel, struct fuse_session *session) {
    static const struct fuse_custom_io hooks = {
        .writev = answer_writev, .read = read_plainly, .splice_send = answer_splice};
    /* A descriptor of its own, for it closes it. */
    int fd = fcntl(channel->fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int err = fuse_session_custom_io(session, &hooks, fd);
    if (err)
        close(fd);
    return err;
}

static int serve_init(struct channel *channel, struct fuse_session *session) {
    union request *init = &channel->init;
    int err = request_held(init) ? 0 : request_read(init, channel->fd);
    if (err)
        return err;
    if (init->header.opcode != FUSE_INIT)
        return -EPROTO;
    init_served = init;
    request_process(init, session);
    init_served = NULL;
    return fuse_session_exited(session) ? -EPROTO : 0;
}

/* --- interrupts --------------------------------------------------------------------------------
 */

/*
 * The slot may be another thread's, and the kernel be writing to it: whatever is seen, only the
 * right request's own number matters.
 */
__attribute__((no_sanitize_thread)) static uint64_t peek_unique(const union request *request) {
    return *(const volatile uint64_t *)&request->header.unique;
}

/*
 * Notes in shared memory whom an INTERRUPT is for: libfuse, which is told as well, forgets it when
 * the server dies. An INTERRUPT that is itself served again finds its request either way.
 */
static void note_interrupt(struct channel *channel, const union request *request) {
    const struct fuse_interrupt_in *in = (const void *)(request->bytes + sizeof request->header);
    unsigned used = atomic_load(&channel->used);
    for (unsigned i = 0; i < used; i++)
        if (peek_unique(&channel->slots[i]) == in->unique)
            atomic_store(&channel->interrupted[i], in->unique);
}

static void answer_error(int fd, const union request *request, int err) {
    const struct fuse_out_header answer = {
        .len = sizeof answer, .error = err, .unique = request->header.unique};
    /* It fails only where nobody waits any more. */
    ssize_t n = write(fd, &answer, sizeof answer);
    (void)n;
}

/* --- threads -----------------------------------------------------------------------------------
 */

static bool is_deadly(const struct channel *channel, unsigned slot) {
    return channel->deaths[slot].unique == channel->slots[slot].header.unique &&
           channel->deaths[slot].count >= CHANNEL_DEATHS_MAX;
}

static void serve_slot(struct crew *crew, unsigned slot) {
    struct channel *channel = crew->channel;
    union request *request = &channel->slots[slot];
    if (request->header.opcode == FUSE_INTERRUPT)
        note_interrupt(channel, request);
    if (atomic_load(&channel->interrupted[slot]) == request->header.unique)
        answer_error(channel->fd, request, -EINTR);
    else if (is_deadly(channel, slot))
        answer_error(channel->fd, request, -EIO);
    else
        request_process(request, crew->session);
    request_empty(request);
}

static void *thread_main(void *arg);

/* Starts the thread of a slot; the lock is held. Returns 0 or a negative errno. */
static int start_thread(struct crew *crew, unsigned slot) {
    pthread_attr_t attr;
    if (pthread_attr_init(&attr) != 0)
        return -ENOMEM;
    struct seat *seat = &crew->seats[slot];
    pthread_t thread;
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, THREAD_STACK);
    if (atomic_load(&crew->channel->used) <= slot)
        atomic_store(&crew->channel->used, slot + 1);
    *seat = (struct seat){.crew = crew, .taken = true};
    crew->running++;
    int err = -pthread_create(&thread, &attr, thread_main, seat);
    if (err) {
        seat->taken = false;
        crew->running--;
    }
    pthread_attr_destroy(&attr);
    return err;
}

/* Starts a thread on a free slot, if there is one; the lock is held. */
static int start_another(struct crew *crew) {
    for (unsigned slot = 0; slot < CHANNEL_SLOTS; slot++)
        if (!crew->seats[slot].taken)
            return start_thread(crew, slot);
    return -EAGAIN;
}

void channel_step_aside(void) {
    struct crew *crew = led_crew;
    if (!crew)
        return;
    led_crew = NULL;
    pthread_mutex_lock(&crew->lock);
    crew->led = false;
    /* Where no thread can be had, the kernel's queue waits until one of these is done. */
    if (crew->idle > 0)
        pthread_cond_signal(&crew->turn);
    else
        start_another(crew);
    pthread_mutex_unlock(&crew->lock);
}

/* Waits for its turn to lead. Returns false when this thread is to end. */
static bool take_lead(struct crew *crew) {
    pthread_mutex_lock(&crew->lock);
    bool spare = crew->led && crew->idle == IDLE_MAX;
    crew->idle++;
    while (!spare && crew->led && !crew->over)
        pthread_cond_wait(&crew->turn, &crew->lock);
    crew->idle--;
    bool leads = !spare && !crew->over;
    if (leads) {
        crew->led = true;
        led_crew = crew;
    }
    pthread_mutex_unlock(&crew->lock);
    return leads;
}

/* Reading has come to its end, for all: the file system was unmounted, or worse. */
static void end_all(struct crew *crew, int err) {
    led_crew = NULL;
    pthread_mutex_lock(&crew->lock);
    crew->over = true;
    if (err != -ENODEV && !crew->err)
        crew->err = err;
    pthread_cond_broadcast(&crew->turn);
    pthread_mutex_unlock(&crew->lock);
}

/* Reading a file is work of the disk, if not of Wazuh's pace. All else waits with patience. */
static bool takes_a_while(const union request *request) {
    return request->header.opcode == FUSE_READ;
}

static void lead(struct crew *crew, unsigned slot) {
    union request *request = &crew->channel->slots[slot];
    while (led_crew) {
        int err = request_read(request, crew->channel->fd);
        if (err) {
            end_all(crew, err);
            return;
        }
        if (takes_a_while(request))
            channel_step_aside();
        serve_slot(crew, slot);
    }
}

static void *thread_main(void *arg) {
    struct seat *seat = arg;
    struct crew *crew = seat->crew;
    unsigned slot = (unsigned)(seat - crew->seats);
    if (request_held(&crew->channel->slots[slot]))
        serve_slot(crew, slot);
    while (take_lead(crew))
        lead(crew, slot);

    pthread_mutex_lock(&crew->lock);
    seat->taken = false;
    crew->running--;
    pthread_cond_signal(&crew->ended);
    pthread_mutex_unlock(&crew->lock);
    return NULL;
}

/* Serves until no thread is left, or one failed. */
static int crew_work(struct crew *crew) {
    struct channel *channel = crew->channel;
    pthread_mutex_lock(&crew->lock);
    unsigned used = atomic_load(&channel->used);
    for (unsigned slot = 0; slot < used && !crew->err; slot++)
        if (request_held(&channel->slots[slot]))
            crew->err = start_thread(crew, slot);
    for (unsigned i = 0; i < FIRST_THREADS && !crew->err; i++)
        crew->err = start_another(crew);
    while (crew->running > 0 && !crew->err)
        pthread_cond_wait(&crew->ended, &crew->lock);
    int err = crew->err;
    pthread_mutex_unlock(&crew->lock);
    return err;
}

/* --- the channel -------------------------------------------------------------------------------
 */

int channel_new(int fd, struct channel **ret) {
    struct channel *channel = mmap(NULL, sizeof *channel, PROT_READ | PROT_WRITE,
                                   MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (channel == MAP_FAILED)
        return -ENOMEM;
    channel->fd = fd;
    *ret = channel;
    return 0;
}

void channel_note_death(struct channel *channel) {
    unsigned used = atomic_load(&channel->used);
    for (unsigned slot = 0; slot < used; slot++) {
        uint64_t unique = channel->slots[slot].header.unique;
        if (!request_held(&channel->slots[slot]))
            continue;
        if (channel->deaths[slot].unique != unique)
            channel->deaths[slot].count = 0;
        channel->deaths[slot].unique = unique;
        channel->deaths[slot].count++;
    }
}

int channel_serve(struct channel *channel, struct fuse_session *session, void (*ready)(void *),
                  void *ctx) {
    int err = connect_session(channel, session);
    if (!err)
        err = serve_init(channel, session);
    if (err)
        return err == -ENODEV ? 0 : err;
    ready(ctx);

    struct crew *crew = calloc(1, sizeof *crew);
    if (!crew)
        return -ENOMEM;
    *crew = (struct crew){.channel = channel, .session = session};
    pthread_mutex_init(&crew->lock, NULL);
    pthread_cond_init(&crew->turn, NULL);
    pthread_cond_init(&crew->ended, NULL);
    err = crew_work(crew);
    if (err)
        return err; /* its threads may still run */
    pthread_cond_destroy(&crew->ended);
    pthread_cond_destroy(&crew->turn);
    pthread_mutex_destroy(&crew->lock);
    free(crew);
    return 0;
}

void channel_free(struct channel *channel) {
    if (channel)
        munmap(channel, sizeof *channel);
}
