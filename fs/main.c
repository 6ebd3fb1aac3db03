/* Command line → source → mount → serve. */
#include <maciefs/config.h>
#include <maciefs/doctor.h>
#include <maciefs/keeper.h>
#include <maciefs/report.h>
#include <maciefs/s3.h>
#include <maciefs/secret.h>
#include <maciefs/serve.h>
#include <maciefs/source.h>
#include <maciefs/store.h>

#include <cjson/cJSON.h>
#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/*
 * Many threads that allocate little would each get an arena of their own, and what they free would
 * stay there: two are enough. Buffers of a read or of an object's lines come and go all the time:
 * they are taken from the heap, since pages fresh from the kernel have to be cleared.
 */
static void bound_allocator(void) {
    mallopt(M_ARENA_MAX, 2);
    mallopt(M_MMAP_THRESHOLD, 2 << 20);
    mallopt(M_TRIM_THRESHOLD, 8 << 20);
}

/* Services and programs give credentials as JSON, also such as breaks off in the midst of one. */
static void clear_freed_json(void) {
    cJSON_Hooks hooks = {.malloc_fn = malloc, .free_fn = secret_free};
    cJSON_InitHooks(&hooks);
}

/*
 * Connections, readers' pipes, lines that wait in files, and logs that wait for the disk may be
 * more than a shell's limit.
 */
static void raise_file_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* The daemon leaves the folder that it was started in; these may be relative to it. */
static void make_absolute(const char *variable) {
    const char *path = getenv(variable);
    char *absolute = path && path[0] != '/' ? realpath(path, NULL) : NULL;
    if (absolute)
        setenv(variable, absolute, 1);
    free(absolute);
}

static void tell_replaced(void *ctx, const char *why) {
    (void)ctx;
    report(REPORT_ERROR, "%s; it was replaced, and readers see nothing of it", why);
}

/* Everything is known to work: mounts, and returns when it is unmounted or in the background. */
static int mount_and_serve(const struct config *config, const char *name, const char *prefix,
                           int folder, struct fault *fault) {
    struct serve_options options = {.config = config, .prefix = prefix, .folder = folder};
    const struct server server = {
        .serve = serve,
        .replaced = tell_replaced,
        .ctx = &options,
        .shared_size = sizeof(struct serve_shared),
    };
    struct keeper *keeper = NULL;
    int err = keeper_mount(config, name, &keeper, fault);
    if (!err)
        err = keeper_run(keeper, &server, fault);
    keeper_free(keeper);
    return err < 0 ? err : 0;
}

/* What is known of the source when it was looked at. */
struct look {
    const struct config *config;
    char *name, *prefix;
    struct fault *fault;
};

/* Finds out that it is there. It is closed again: who keeps the mount has no use for it, nor for
 * its credentials. */
static int look_at_source(void *ctx) {
    struct look *look = ctx;
    struct source *source = NULL;
    int err = source_open(look->config, &source, look->fault);
    if (err)
        return err;
    look->name = strdup(source->name);
    look->prefix = strdup(source->prefix);
    source_free(source);
    return look->name && look->prefix ? 0 : fault_set(look->fault, -ENOMEM, "memory is exhausted");
}

static int run(const struct config *config, struct fault *fault) {
    struct look look = {.config = config, .fault = fault};
    int folder = -1;
    int err = hour_zone_set(config->timezone, fault);
    if (!err)
        err = secret_run(look_at_source, &look);
    if (err && !fault->text[0])
        fault_set(fault, err, "no thread can be started: %s", strerrordesc_np(-err));
    if (!err)
        err = folder = store_lock(config->cache, look.name, fault);
    if (err >= 0)
        err = mount_and_serve(config, look.name, look.prefix, folder, fault);
    if (folder >= 0)
        close(folder);
    free(look.name);
    free(look.prefix);
    return err;
}

/* What the user can paste where rights are given: text of the buffer's. NULL without memory, where
 * the sentence has to do. */
static const char *render_policy(const struct config *config, const struct fault *denial,
                                 struct buf *policy) {
    buf_init(policy, 64 << 10);
    return s3_policy_render(config, denial, policy) == 0 ? buf_str(policy) : NULL;
}

static void show_policy(const struct config *config, const struct fault *denial, FILE *out) {
    struct buf policy;
    const char *text = render_policy(config, denial, &policy);
    if (text)
        fprintf(out, "The least policy that a mount needs:\n%s", text);
    buf_free(&policy);
}

/* What the doctor found, on its way to standard output. */
struct report_card {
    bool json;
    bool marks; /* the locale's letters include ✔ */
    struct finding findings[DOCTOR_STEPS_MAX];
    size_t count;
};

static bool locale_is_utf8(void) {
    locale_t users = newlocale(LC_CTYPE_MASK, "", (locale_t)0);
    if (!users)
        return false;
    bool is = strcmp(nl_langinfo_l(CODESET, users), "UTF-8") == 0;
    freelocale(users);
    return is;
}

/* What cannot be written is found when standard output is closed. */
static void print(struct buf *text) {
    fwrite(text->at, 1, text->len, stdout);
    fflush(stdout);
    buf_free(text);
}

/* People are told at once, machines in one piece. */
static void take_finding(void *ctx, const struct finding *finding) {
    struct report_card *card = ctx;
    struct buf text;
    card->findings[card->count++] = *finding;
    if (card->json)
        return;
    buf_init(&text, SIZE_MAX);
    doctor_text(finding, card->marks, &text);
    print(&text);
}

/* The last finding of a right that is missing; NULL where none is. */
static const struct fault *find_denial(const struct report_card *card) {
    for (size_t i = card->count; i > 0; i--)
        if (card->findings[i - 1].cure.denied)
            return &card->findings[i - 1].cure;
    return NULL;
}

/* Both ends of a check print what comes last. Return 0 or -errno. */
static int end_for_people(const struct config *config, const struct report_card *card, bool works) {
    struct buf text;
    buf_init(&text, SIZE_MAX);
    int err = doctor_text_end(works, &text);
    print(&text);
    const struct fault *denial = find_denial(card);
    if (denial)
        show_policy(config, denial, stdout);
    return err;
}

static int end_for_machines(const struct config *config, const struct report_card *card,
                            bool works) {
    struct buf text, policy = {0};
    const struct fault *denial = find_denial(card);
    buf_init(&text, SIZE_MAX);
    int err = doctor_json(config->source, works, card->findings, card->count,
                          denial ? render_policy(config, denial, &policy) : NULL, &text);
    print(&text);
    buf_free(&policy);
    return err;
}

/* Returns 1 where the mount would not work. */
static int check(const struct config *config, struct fault *fault) {
    static struct report_card card;
    card.json = config->json;
    card.marks = locale_is_utf8();
    bool works = doctor_examine(config, take_finding, &card);
    int err =
        card.json ? end_for_machines(config, &card, works) : end_for_people(config, &card, works);
    if (err || ferror(stdout))
        return fault_set(fault, -EIO, "what was found cannot be written");
    return works ? 0 : 1;
}

/* Returns 0; a negative errno with a fault; or 1 for a failure that was told. */
static int act(const struct config *config, struct fault *fault) {
    switch (config->action) {
    case CONFIG_HELP:
        fputs(config_help(), stdout);
        return 0;
    case CONFIG_VERSION:
        puts("maciefs " MACIEFS_VERSION);
        return 0;
    case CONFIG_NOTHING:
        return 0;
    case CONFIG_CHECK:
        return check(config, fault);
    case CONFIG_MOUNT:
        report_open(!config->foreground, config->debug);
        return run(config, fault);
    }
    return 0;
}

int main(int argc, char **argv) {
    struct config config = {0};
    struct fault fault = {.text = ""};
    bound_allocator();
    clear_freed_json();
    raise_file_limit();
    make_absolute("AWS_SHARED_CREDENTIALS_FILE");
    make_absolute("AWS_CONFIG_FILE");
    make_absolute("AWS_CA_BUNDLE");
    int err = config_parse(argc, argv, &config, &fault);
    if (!err)
        err = act(&config, &fault);
    if (err < 0)
        fprintf(stderr, "maciefs: %s\n", fault.text);
    if (err < 0 && fault.denied)
        show_policy(&config, &fault, stderr);
    config_free(&config);
    return err ? EXIT_FAILURE : EXIT_SUCCESS;
}
