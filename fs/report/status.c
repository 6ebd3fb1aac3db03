/*
 * status.json and Prometheus's text format, both made from one table of the counters.
 *
 * Sources: Prometheus, "Text-based format" and "Metric and label naming"; RFC 8259 for JSON, whose
 * numbers are written as digits, since a double holds only 53 bits of them.
 */
#include <maciefs/report.h>

#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define DIGITS_MAX 24 /* of a 64-bit number, with sign and NUL */

enum kind { COUNTER, GAUGE, MOMENT };

struct metric {
    const char *name;   /* in status.json */
    const char *metric; /* in Prometheus's format, behind "maciefs_" */
    const char *help;
    size_t offset; /* in struct counters */
    enum kind kind;
};

#define COUNTS(name, help)                                                                         \
    { #name, #name "_total", help, offsetof(struct counters, name), COUNTER }
#define MEASURES(name, help)                                                                       \
    { #name, #name, help, offsetof(struct counters, name##_now), GAUGE }
#define DATES(name, help)                                                                          \
    { #name, #name "_timestamp_seconds", help, offsetof(struct counters, name), MOMENT }

static const struct metric metrics[] = {
    COUNTS(objects, "Objects appended to a log."),
    COUNTS(events, "Lines appended that are JSON objects."),
    COUNTS(text_lines, "Lines appended that are no JSON objects."),
    COUNTS(messages, "Lines appended to the files in wazuh/."),
    COUNTS(skipped, "Lines with no place in wazuh/: no JSON object, or one without detail."),
    COUNTS(stored_bytes, "Bytes fetched from the source, as they are stored there."),
    COUNTS(log_bytes, "Bytes appended to logs."),
    COUNTS(damaged, "Objects that could not be decoded to their end."),
    COUNTS(overwritten, "Objects that changed after they were read, and were left alone."),
    COUNTS(late, "Objects that arrived when their hour was over."),
    COUNTS(hidden, "Objects whose key can be no file name in .objects."),
    COUNTS(lists, "List requests sent."),
    COUNTS(gets, "Get requests sent."),
    COUNTS(failures, "Requests that failed after their retries."),
    COUNTS(evicted, "Hours whose data was dropped to keep the cache under its size."),
    COUNTS(restarts, "Restarts of the serving process."),
    DATES(last_poll, "When the source last answered; 0 for never."),
    DATES(newest_object, "LastModified of the newest object seen; 0 for none."),
    DATES(mounted, "When the file system was mounted."),
    MEASURES(cache_bytes, "Bytes of logs on the local disk."),
    MEASURES(offline, "1 while the source does not answer."),
    MEASURES(disk_full, "1 while nothing can be appended for want of room."),
};
#define METRIC_COUNT (sizeof metrics / sizeof *metrics)

/*
 * As wide as any, so that the whole text has one length for good: whoever reads it in two pieces
 * gets no torn end, though each piece is of another moment.
 */
static void value_text(struct counters *counters, const struct metric *m, char ret[DIGITS_MAX]) {
    void *at = (char *)counters + m->offset;
    if (m->kind == MOMENT)
        snprintf(ret, DIGITS_MAX, "%20" PRIdFAST64, atomic_load((atomic_int_fast64_t *)at));
    else
        snprintf(ret, DIGITS_MAX, "%20" PRIuFAST64, atomic_load((atomic_uint_fast64_t *)at));
}

static cJSON *status_object(struct counters *counters, const char *source) {
    cJSON *status = cJSON_CreateObject();
    bool ok = cJSON_AddStringToObject(status, "source", source) &&
              cJSON_AddStringToObject(status, "version", MACIEFS_VERSION);
    for (size_t i = 0; ok && i < METRIC_COUNT; i++) {
        char digits[DIGITS_MAX];
        value_text(counters, &metrics[i], digits);
        ok = cJSON_AddRawToObject(status, metrics[i].name, digits);
    }
    if (ok)
        return status;
    cJSON_Delete(status);
    return NULL;
}

int report_status(struct counters *counters, const char *source, struct buf *out) {
    cJSON *status = status_object(counters, source);
    char *text = status ? cJSON_Print(status) : NULL;
    int err = text ? buf_printf(out, "%s\n", text) : -ENOMEM;
    cJSON_free(text);
    cJSON_Delete(status);
    return err;
}

static int append_metric(struct counters *counters, const struct metric *m, struct buf *out) {
    char digits[DIGITS_MAX];
    value_text(counters, m, digits);
    return buf_printf(out,
                      "# HELP maciefs_%s %s\n"
                      "# TYPE maciefs_%s %s\n"
                      "maciefs_%s %s\n",
                      m->metric, m->help, m->metric, m->kind == COUNTER ? "counter" : "gauge",
                      m->metric, digits);
}

int report_metrics(struct counters *counters, struct buf *out) {
    size_t before = out->len;
    int err = buf_printf(out,
                         "# HELP maciefs_info The running version.\n"
                         "# TYPE maciefs_info gauge\n"
                         "maciefs_info{version=\"%s\"} 1\n",
                         MACIEFS_VERSION);
    for (size_t i = 0; !err && i < METRIC_COUNT; i++)
        err = append_metric(counters, &metrics[i], out);
    if (err)
        out->len = before;
    return err;
}
