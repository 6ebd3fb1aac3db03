#include "examination.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Places in the table. */
enum {
    OPTIONS,
    CREDENTIALS,
    REGION,
    REACHABILITY,
    TLS,
    LISTING,
    NEWEST_HOUR,
    OBJECT,
    CACHE,
    MOUNT_POINT,
    FUSE,
    MOUNT_HELPER,
    ALLOW_OTHER,
    WAZUH,
    STEP_COUNT
};

static const struct step steps[STEP_COUNT] = {
    [OPTIONS] = {"options", 0, examine_options},
    [CREDENTIALS] = {"credentials", STEP(OPTIONS), examine_credentials},
    [REGION] = {"region", STEP(OPTIONS), examine_region},
    [REACHABILITY] = {"reachability", STEP(OPTIONS), examine_reachability},
    [TLS] = {"tls", STEP(REACHABILITY), examine_tls},
    [LISTING] = {"listing", STEP(CREDENTIALS) | STEP(TLS), examine_listing},
    [NEWEST_HOUR] = {"newest_hour", STEP(LISTING), examine_newest_hour},
    [OBJECT] = {"object", STEP(NEWEST_HOUR), examine_object},
    [CACHE] = {"cache", 0, examine_cache},
    [MOUNT_POINT] = {"mount_point", 0, examine_mount_point},
    [FUSE] = {"fuse", 0, examine_fuse},
    [MOUNT_HELPER] = {"mount_helper", 0, examine_mount_helper},
    [ALLOW_OTHER] = {"allow_other", 0, examine_allow_other},
    [WAZUH] = {"wazuh", 0, examine_wazuh},
};
_Static_assert(STEP_COUNT <= DOCTOR_STEPS_MAX, "who keeps findings has room for them");

static void name_missing(const struct step *all, unsigned missing, struct finding *finding) {
    const struct step *first = &all[__builtin_ctz(missing)];
    fault_set(&finding->found, 0, "it builds on the step %s", first->name);
}

bool steps_run(const struct step *all, size_t count, void *patient, doctor_listener tell,
               void *ctx) {
    unsigned blocked = 0; /* steps that nothing can be built on */
    bool works = true;
    for (size_t i = 0; i < count; i++) {
        struct finding finding = {.step = all[i].name, .state = DOCTOR_NOT_ASKED};
        unsigned missing = all[i].needs & blocked;
        if (missing)
            name_missing(all, missing, &finding);
        else
            finding.state = (enum doctor_state)all[i].run(patient, &finding);
        /* What went wrong on a way that led to the goal all the same. */
        if (finding.state == DOCTOR_OK || finding.state == DOCTOR_NOT_ASKED)
            finding.cure.text[0] = '\0';
        if (missing || finding.state == DOCTOR_FAILED)
            blocked |= STEP(i);
        works = works && finding.state != DOCTOR_FAILED;
        tell(ctx, &finding);
    }
    return works;
}

bool doctor_examine(const struct config *config, doctor_listener tell, void *ctx) {
    struct examination examination = {.config = config};
    bool works = steps_run(steps, STEP_COUNT, &examination, tell, ctx);
    if (examination.newest)
        catalog_release(examination.catalog, examination.newest);
    catalog_free(examination.catalog);
    source_free(examination.source);
    source_free(examination.configured);
    return works;
}

void write_size(uint64_t bytes, char ret[SPAN_TEXT_MAX]) {
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
    double size = (double)bytes / 1024;
    size_t unit = 0;
    while (size >= 1024 && unit + 1 < sizeof units / sizeof *units) {
        size /= 1024;
        unit++;
    }
    if (bytes < 1024)
        snprintf(ret, SPAN_TEXT_MAX, "%" PRIu64 " bytes", bytes);
    else
        snprintf(ret, SPAN_TEXT_MAX, "%.1f %s", size, units[unit]);
}

void write_span(int64_t seconds, char ret[SPAN_TEXT_MAX]) {
    static const struct {
        int64_t seconds;
        const char *name;
    } units[] = {{86400, "days"}, {3600, "hours"}, {60, "minutes"}, {1, "seconds"}};
    size_t i = 0;
    /* From two of a unit on, it tells enough. */
    while (units[i].seconds > 1 && seconds < 2 * units[i].seconds)
        i++;
    snprintf(ret, SPAN_TEXT_MAX, "%" PRId64 " %s", seconds / units[i].seconds, units[i].name);
}
