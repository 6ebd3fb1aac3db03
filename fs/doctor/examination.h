/*
 * What the steps share: their table's type, and what one learns and a later one builds on.
 */
#ifndef MACIEFS_EXAMINATION_H
#define MACIEFS_EXAMINATION_H

#include <maciefs/catalog.h>
#include <maciefs/doctor.h>
#include <maciefs/http.h>
#include <maciefs/source.h>

/* A set of steps, by their places in the table. */
#define STEP(place) (1u << (place))

/* One step. */
struct step {
    const char *name;
    unsigned needs; /* steps before it that must not have failed, nor lacked what they need */
    /* Fills the finding's texts and returns its enum doctor_state. */
    int (*run)(void *patient, struct finding *finding);
};

/* Runs the steps in order. Returns whether none failed. */
bool steps_run(const struct step *steps, size_t count, void *patient, doctor_listener tell,
               void *ctx);

struct examination {
    const struct config *config;
    struct source *configured; /* S3's, under no particular prefix; asks nobody by itself */
    struct http_reach reach;
    int tls_err;            /* how the handshake went: 0, or an error with `tls_fault` */
    struct fault tls_fault; /* (that is known when the server was reached) */
    struct source *source;  /* as the mount would open it */
    struct counters counters;
    struct catalog *catalog;
    struct hour_listing *newest; /* the newest hour that has objects, or NULL */
    const struct object *object; /* its newest object */
};

/* The patient is a `struct examination` in all of them. */

/* Of the source, in the order in which each needs the one before. */
int examine_options(void *patient, struct finding *finding);
int examine_credentials(void *patient, struct finding *finding);
int examine_region(void *patient, struct finding *finding);
int examine_reachability(void *patient, struct finding *finding);
int examine_tls(void *patient, struct finding *finding);
int examine_listing(void *patient, struct finding *finding);
int examine_newest_hour(void *patient, struct finding *finding);
int examine_object(void *patient, struct finding *finding);

/* Of this machine. */
int examine_cache(void *patient, struct finding *finding);
int examine_mount_point(void *patient, struct finding *finding);
int examine_fuse(void *patient, struct finding *finding);
int examine_mount_helper(void *patient, struct finding *finding);
int examine_allow_other(void *patient, struct finding *finding);
int examine_wazuh(void *patient, struct finding *finding);

/*
 * Whether the text of an ossec.conf has a <localfile> whose <location> begins with `folder` (with
 * its final '/'; NULL for any folder that ends in "/wazuh/"), comments aside. *ret_keeps tells
 * whether that one says <only-future-events>no.
 */
bool wazuh_conf_reads(const char *text, const char *folder, bool *ret_keeps);

#define SPAN_TEXT_MAX 32

/* A size as "9.5 GiB", and a span of seconds as "3 minutes". */
void write_size(uint64_t bytes, char ret[SPAN_TEXT_MAX]);
void write_span(int64_t seconds, char ret[SPAN_TEXT_MAX]);

#endif
