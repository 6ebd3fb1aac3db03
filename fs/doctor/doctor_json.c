/* RFC 8259 wants UTF-8, which names of objects and folders need not be. */
#include <maciefs/doctor.h>

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *const states[] = {[DOCTOR_OK] = "ok",
                                     [DOCTOR_WARNING] = "warning",
                                     [DOCTOR_FAILED] = "failed",
                                     [DOCTOR_NOT_ASKED] = "not_asked"};

/* Bytes of the character at `at`; 0 where none begins (RFC 3629, 4). */
static size_t character(const unsigned char *at) {
    size_t len = at[0] < 0x80                     ? 1
                 : at[0] >= 0xc2 && at[0] <= 0xdf ? 2
                 : at[0] >= 0xe0 && at[0] <= 0xef ? 3
                 : at[0] >= 0xf0 && at[0] <= 0xf4 ? 4
                                                  : 0;
    for (size_t i = 1; i < len; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xf0 && at[1] < 0x90);
    bool none = (at[0] == 0xed && at[1] > 0x9f) || (at[0] == 0xf4 && at[1] > 0x8f);
    return overlong || none ? 0 : len;
}

static void make_utf8(char *text) {
    for (unsigned char *at = (unsigned char *)text; *at;) {
        size_t len = character(at);
        if (!len)
            *at = '?';
        at += len ? len : 1;
    }
}

static bool add_text(cJSON *object, const char *name, const char *text) {
    char *copy = strdup(text);
    if (copy)
        make_utf8(copy);
    bool added = copy && cJSON_AddStringToObject(object, name, copy);
    free(copy);
    return added;
}

static bool add_finding(cJSON *steps, const struct finding *finding) {
    cJSON *step = cJSON_CreateObject();
    if (!step || !cJSON_AddItemToArray(steps, step)) {
        cJSON_Delete(step);
        return false;
    }
    return add_text(step, "step", finding->step) &&
           add_text(step, "state", states[finding->state]) &&
           add_text(step, "found", finding->found.text) &&
           add_text(step, "cure", finding->cure.text);
}

static bool fill(cJSON *report, const char *source, bool works, const struct finding *findings,
                 size_t count) {
    bool ok = add_text(report, "source", source) && cJSON_AddBoolToObject(report, "works", works);
    cJSON *steps = ok ? cJSON_AddArrayToObject(report, "steps") : NULL;
    ok = steps != NULL;
    for (size_t i = 0; ok && i < count; i++)
        ok = add_finding(steps, &findings[i]);
    return ok;
}

static bool add_policy(cJSON *report, const char *policy) {
    cJSON *parsed = cJSON_Parse(policy);
    if (parsed && cJSON_AddItemToObject(report, "policy", parsed))
        return true;
    cJSON_Delete(parsed);
    return false;
}

int doctor_json(const char *source, bool works, const struct finding *findings, size_t count,
                const char *policy, struct buf *out) {
    cJSON *report = cJSON_CreateObject();
    bool filled = report && fill(report, source, works, findings, count) &&
                  (!policy || add_policy(report, policy));
    char *text = filled ? cJSON_Print(report) : NULL;
    int err = text ? buf_printf(out, "%s\n", text) : -ENOMEM;
    cJSON_free(text);
    cJSON_Delete(report);
    return err;
}
