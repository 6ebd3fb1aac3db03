/* Where objects come from: from the options to one object, decoded. */
#include "examination.h"

#include <errno.h>
#include <maciefs/clock.h>
#include <maciefs/decode.h>
#include <maciefs/s3.h>
#include <maciefs/split.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Of one object, stored bytes that are fetched at most, and for how long. */
#define FETCH_MAX ((uint64_t)64 << 20)
#define FETCH_MS 60000

/* LastModified may lie before the hour that an object is in, by as much as clocks differ. */
#define HOUR_SLACK_S 300

static bool is_folder(const struct examination *examination) {
    return examination->config->scheme == CONFIG_FILE;
}

/* For what only a bucket has. */
static int of_a_bucket(struct finding *finding) {
    return fault_set(&finding->found, DOCTOR_NOT_ASKED, "the source is a local folder");
}

int examine_options(void *patient, struct finding *finding) {
    struct examination *examination = patient;
    const struct config *config = examination->config;
    int err = hour_zone_set(config->timezone, &finding->cure);
    if (!err && !is_folder(examination))
        err = s3_source_new(config, NULL, &examination->configured, &finding->cure);
    if (err)
        return DOCTOR_FAILED;
    return fault_set(&finding->found, DOCTOR_OK, "%s, hours in %s", config->source,
                     config->timezone);
}

/* --- The way to the bucket -------------------------------------------------------------------- */

static void describe_signer(const struct s3_signer *signer, struct finding *finding) {
    char end[64] = "";
    time_t expires = (time_t)signer->expires;
    struct tm when;
    if (signer->expires && gmtime_r(&expires, &when))
        strftime(end, sizeof end, ", until %F %H:%M UTC", &when);
    fault_set(&finding->found, 0, "%s from %s%s%s%s", signer->temporary ? "temporary keys" : "keys",
              signer->from, signer->key_end[0] ? ", with the id ..." : "", signer->key_end, end);
}

int examine_credentials(void *patient, struct finding *finding) {
    struct examination *examination = patient;
    struct s3_signer signer;
    if (is_folder(examination))
        return of_a_bucket(finding);
    int err = s3_source_signer(examination->configured, &signer, &finding->cure);
    if (err == -ENODATA)
        return fault_set(&finding->found, DOCTOR_NOT_ASKED, "no_sign: requests are not signed");
    if (err)
        return DOCTOR_FAILED;
    describe_signer(&signer, finding);
    if (signer.temporary && !signer.expires)
        return fault_set(&finding->cure, DOCTOR_WARNING,
                         "these keys end some day, and cannot be renewed: name a profile with a "
                         "role or a credential_process, or give this machine a role");
    return DOCTOR_OK;
}

int examine_region(void *patient, struct finding *finding) {
    struct examination *examination = patient;
    struct s3_way way;
    if (is_folder(examination))
        return of_a_bucket(finding);
    s3_source_way(examination->configured, &way);
    return fault_set(&finding->found, DOCTOR_OK, "%s, from %s", way.set_region, way.region_from);
}

int examine_reachability(void *patient, struct finding *finding) {
    struct examination *examination = patient;
    struct fault fault = {.text = ""};
    struct s3_way way;
    if (is_folder(examination))
        return of_a_bucket(finding);
    int err = s3_source_reach(examination->configured, &examination->reach, &fault);
    if (err && !examination->reach.connected) {
        finding->cure = fault;
        return DOCTOR_FAILED;
    }
    examination->tls_err = err;
    examination->tls_fault = fault;
    s3_source_way(examination->configured, &way);
    return fault_set(&finding->found, DOCTOR_OK, "%s, at %s", way.url, examination->reach.address);
}

int examine_tls(void *patient, struct finding *finding) {
    struct examination *examination = patient;
    struct s3_way way;
    if (is_folder(examination))
        return of_a_bucket(finding);
    s3_source_way(examination->configured, &way);
    if (strncmp(way.url, "https:", 6) != 0)
        return fault_set(&finding->found, DOCTOR_NOT_ASKED,
                         "the endpoint is http: nothing is encrypted");
    if (examination->tls_err) {
        finding->cure = examination->tls_fault;
        return DOCTOR_FAILED;
    }
    const char *expires = examination->reach.expires;
    return fault_set(&finding->found, DOCTOR_OK, "the certificate is trusted%s%s",
                     expires[0] ? ", until " : "", expires);
}

/* --- What is in it ---------------------------------------------------------------------------- */

int examine_listing(void *patient, struct finding *finding) {
    struct examination *examination = patient;
    if (source_open(examination->config, &examination->source, &finding->cure) < 0)
        return DOCTOR_FAILED;
    struct source *source = examination->source;
    if (is_folder(examination))
        return fault_set(&finding->found, DOCTOR_OK, "%s can be listed", source->name);
    struct s3_way way;
    s3_source_way(source, &way);
    if (strcmp(way.region, way.set_region) == 0)
        return fault_set(&finding->found, DOCTOR_OK, "%s can be listed", source->name);
    return fault_set(&finding->found, DOCTOR_OK,
                     "%s can be listed, in %s, which the bucket names: region=%s saves a request",
                     source->name, way.region, way.region);
}

/* The last child of a folder that is one of time. -ENOENT where there is none. */
static int last_child(struct catalog *catalog, hour_t folder, unsigned depth, hour_t *ret,
                      struct fault *fault) {
    struct children children = {0};
    bool fresh;
    size_t count = 0;
    int err = catalog_children(catalog, folder, depth, &children, &fresh);
    if (!err && !fresh) {
        err = catalog_list_folder(catalog, folder, depth, fault);
        if (!err)
            err = catalog_children(catalog, folder, depth, &children, &fresh);
    }
    while (!err && children_at(&children, folder, depth, count, ret))
        count++;
    children_free(&children);
    if (err == -ENOMEM)
        fault_set(fault, err, "memory is exhausted");
    return err ? err : count ? 0 : -ENOENT;
}

static int find_newest_hour(struct catalog *catalog, struct hour_listing **ret,
                            struct fault *fault) {
    hour_t at = 0;
    int err = 0;
    for (unsigned depth = 0; !err && depth < HOUR_DEPTH; depth++)
        err = last_child(catalog, at, depth, &at, fault);
    return err ? err : catalog_objects(catalog, at, CATALOG_ANY_AGE, ret, NULL, fault);
}

static const struct object *newest_object(const struct hour_listing *listing) {
    const struct object *newest = NULL;
    for (size_t i = 0; i < listing->count; i++)
        if (!newest || object_order(&listing->objects[i], newest) > 0)
            newest = &listing->objects[i];
    return newest;
}

/* Whether what is newest calls for a warning. */
static int judge_newest(const struct examination *examination, const char *hour, int64_t age,
                        struct finding *finding) {
    char span[SPAN_TEXT_MAX];
    if (examination->object->modified < hour_start(examination->newest->hour) - HOUR_SLACK_S)
        return fault_set(&finding->cure, DOCTOR_WARNING,
                         "the objects of %s are older than that hour in %s: give the stream's own "
                         "time zone with timezone=",
                         hour, examination->config->timezone);
    if (age <= (int64_t)examination->config->window_s)
        return DOCTOR_OK;
    write_span(examination->config->window_s, span);
    return fault_set(&finding->cure, DOCTOR_WARNING,
                     "nothing came in the last %s, the window of wazuh/: check that Firehose still "
                     "delivers to this prefix",
                     span);
}

static int no_hour(struct finding *finding) {
    fault_set(&finding->found, 0, "none");
    return fault_set(&finding->cure, DOCTOR_WARNING,
                     "no folder YYYY/MM/DD/HH has an object yet: check that Firehose delivers to "
                     "this prefix");
}

int examine_newest_hour(void *patient, struct finding *finding) {
    struct examination *examination = patient;
    examination->catalog =
        catalog_new(examination->source, examination->config->dir_ttl_ms, &examination->counters);
    if (!examination->catalog)
        return fault_set(&finding->cure, DOCTOR_FAILED, "memory is exhausted");
    int err = find_newest_hour(examination->catalog, &examination->newest, &finding->cure);
    if (err && err != -ENOENT)
        return DOCTOR_FAILED;
    examination->object = err ? NULL : newest_object(examination->newest);
    if (!examination->object)
        return no_hour(finding);
    char hour[HOUR_PATH_LEN + 1], age_text[SPAN_TEXT_MAX];
    int64_t age = examination->newest->now - examination->object->modified;
    age = age < 0 ? 0 : age;
    hour_path(examination->newest->hour, HOUR_DEPTH, hour);
    write_span(age, age_text);
    fault_set(&finding->found, 0, "%s with %zu object%s, the newest %s old", hour,
              examination->newest->count, examination->newest->count == 1 ? "" : "s", age_text);
    return judge_newest(examination, hour, age, finding);
}

/* --- One object ------------------------------------------------------------------------------- */

/* Its bytes on their way: decoder → splitter → counts. */
struct tasting {
    struct decoder *decoder;
    struct splitter splitter;
    int64_t until; /* what has come by then is enough; monotonic ms */
    uint64_t stored, events, texts;
    bool damaged;
    const char *reason;
};

static int drop_bytes(void *ctx, const uint8_t *at, size_t len) {
    (void)ctx, (void)at, (void)len;
    return 0;
}

static int count_line(void *ctx, bool object) {
    struct tasting *tasting = ctx;
    *(object ? &tasting->events : &tasting->texts) += 1;
    return 0;
}

static int take_plain(void *ctx, const uint8_t *at, size_t len) {
    struct tasting *tasting = ctx;
    return splitter_feed(&tasting->splitter, at, len);
}

static int take_stored(void *ctx, const uint8_t *at, size_t len) {
    struct tasting *tasting = ctx;
    if (tasting->stored >= FETCH_MAX || clock_ms() > tasting->until)
        return -EFBIG;
    tasting->stored += len;
    int err = decoder_feed(tasting->decoder, at, len);
    tasting->damaged = err == -EBADMSG;
    return err;
}

static int begin_anew(void *ctx) {
    struct tasting *tasting = ctx;
    const struct line_sink lines = {drop_bytes, count_line, tasting};
    decoder_reset(tasting->decoder);
    splitter_init(&tasting->splitter, &lines);
    tasting->stored = tasting->events = tasting->texts = 0;
    return 0;
}

static int finish(struct tasting *tasting) {
    int err = decoder_finish(tasting->decoder);
    tasting->reason = err == -EBADMSG ? decoder_reason(tasting->decoder) : NULL;
    if (!err) {
        err = splitter_finish(&tasting->splitter);
        tasting->reason = err == -EBADMSG ? "it ends inside an event" : NULL;
    }
    tasting->damaged = err == -EBADMSG;
    return err;
}

/* Fetches it up to its damage, or to what is enough. */
static int taste(struct source *source, const struct object *object, struct tasting *tasting,
                 struct fault *fault) {
    const struct object_sink sink = {take_stored, begin_anew, tasting};
    begin_anew(tasting);
    int err = source_get(source, object, &sink, fault);
    if (tasting->damaged) {
        tasting->reason = decoder_reason(tasting->decoder);
        return 0;
    }
    if (err == -EFBIG)
        return 0;
    if (!err)
        err = finish(tasting);
    if (err == -ENOSYS)
        fault_set(fault, err, "%s%s cannot be decoded: this maciefs was built without libsnappy",
                  source->name, object->key);
    return tasting->damaged ? 0 : err;
}

static int judge_object(const struct examination *examination, const struct tasting *tasting,
                        struct finding *finding) {
    const struct source *source = examination->source;
    const struct object *object = examination->object;
    fault_set(&finding->found, 0, "%s, %llu event%s in %s%llu bytes: %s",
              decoder_format(tasting->decoder), (unsigned long long)tasting->events,
              tasting->events == 1 ? "" : "s", tasting->stored < object->size ? "the first " : "",
              (unsigned long long)tasting->stored, object->key);
    if (tasting->damaged)
        return fault_set(&finding->cure, DOCTOR_WARNING,
                         "%s%s is damaged at byte %llu: %s; every whole event before that is shown",
                         source->name, object->key,
                         (unsigned long long)decoder_offset(tasting->decoder), tasting->reason);
    if (tasting->texts)
        return fault_set(
            &finding->cure, DOCTOR_WARNING,
            "%llu of its lines are no JSON object, which has no place in wazuh/: check "
            "that this is the prefix of Macie's stream",
            (unsigned long long)tasting->texts);
    return DOCTOR_OK;
}

/* What was deleted or overwritten a moment ago says nothing of the others. */
static bool is_passing(int err) {
    return err == -ENOENT || err == -ESTALE;
}

int examine_object(void *patient, struct finding *finding) {
    struct examination *examination = patient;
    struct tasting tasting = {.until = clock_ms() + FETCH_MS};
    if (!examination->object)
        return fault_set(&finding->found, DOCTOR_NOT_ASKED, "there is none yet");
    tasting.decoder = decoder_new(examination->config->max_object, 0, take_plain, &tasting);
    if (!tasting.decoder)
        return fault_set(&finding->cure, DOCTOR_FAILED, "memory is exhausted");
    int err = taste(examination->source, examination->object, &tasting, &finding->cure);
    int state = is_passing(err) ? DOCTOR_WARNING : DOCTOR_FAILED;
    if (!err)
        state = judge_object(examination, &tasting, finding);
    decoder_free(tasting.decoder);
    return state;
}
