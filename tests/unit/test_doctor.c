#include "../../fs/doctor/examination.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

/* --- The engine ------------------------------------------------------------------------------- */

#define HEARD_MAX 8

/* What each step is to end with, and what was heard. */
struct patient {
    int states[HEARD_MAX];
    size_t asked;
    struct finding heard[HEARD_MAX];
    size_t count;
};

static void hear(void *ctx, const struct finding *finding) {
    struct patient *patient = ctx;
    patient->heard[patient->count++] = *finding;
}

/* Ends as the patient says that the step of this place ends. */
static int end_as(struct patient *patient, size_t place, struct finding *finding) {
    patient->asked++;
    fault_set(&finding->cure, 0, "a cure");
    return patient->states[place];
}

static int first(void *patient, struct finding *finding) {
    return end_as(patient, 0, finding);
}
static int second(void *patient, struct finding *finding) {
    return end_as(patient, 1, finding);
}
static int third(void *patient, struct finding *finding) {
    return end_as(patient, 2, finding);
}
static int fourth(void *patient, struct finding *finding) {
    return end_as(patient, 3, finding);
}

static const struct step chain[] = {
    {"first", 0, first},
    {"second", STEP(0), second},
    {"third", STEP(1), third},
    {"fourth", 0, fourth},
};

static void expect(struct patient *patient, bool works, const int states[4]) {
    assert_int_equal(steps_run(chain, 4, patient, hear, patient), works);
    assert_int_equal(patient->count, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_string_equal(patient->heard[i].step, chain[i].name);
        assert_int_equal(patient->heard[i].state, states[i]);
    }
}

static void all_is_told_in_order(void **state) {
    (void)state;
    struct patient patient = {0};
    expect(&patient, true, (int[]){DOCTOR_OK, DOCTOR_OK, DOCTOR_OK, DOCTOR_OK});
    assert_int_equal(patient.asked, 4);
}

static void what_builds_on_a_failure_is_not_asked(void **state) {
    (void)state;
    struct patient patient = {.states = {DOCTOR_FAILED}};
    expect(&patient, false, (int[]){DOCTOR_FAILED, DOCTOR_NOT_ASKED, DOCTOR_NOT_ASKED, DOCTOR_OK});
    assert_int_equal(patient.asked, 2);
    assert_non_null(strstr(patient.heard[1].found.text, "first"));
    assert_non_null(strstr(patient.heard[2].found.text, "second"));
}

static void the_mount_works_with_warnings_and_what_does_not_matter(void **state) {
    (void)state;
    struct patient patient = {.states = {DOCTOR_NOT_ASKED, DOCTOR_WARNING}};
    expect(&patient, true, (int[]){DOCTOR_NOT_ASKED, DOCTOR_WARNING, DOCTOR_OK, DOCTOR_OK});
    assert_int_equal(patient.asked, 4);
}

static void only_what_is_not_well_has_a_cure(void **state) {
    (void)state;
    struct patient patient = {
        .states = {DOCTOR_OK, DOCTOR_WARNING, DOCTOR_NOT_ASKED, DOCTOR_FAILED}};
    steps_run(chain, 4, &patient, hear, &patient);
    assert_string_equal(patient.heard[0].cure.text, "");
    assert_string_equal(patient.heard[1].cure.text, "a cure");
    assert_string_equal(patient.heard[2].cure.text, "");
    assert_string_equal(patient.heard[3].cure.text, "a cure");
}

/* --- The table -------------------------------------------------------------------------------- */

struct report {
    struct finding findings[DOCTOR_STEPS_MAX];
    size_t count;
};

static void keep(void *ctx, const struct finding *finding) {
    struct report *report = ctx;
    report->findings[report->count++] = *finding;
}

static void the_steps_go_from_the_options_to_wazuh(void **state) {
    static const char *const names[] = {"options",     "credentials", "region",      "reachability",
                                        "tls",         "listing",     "newest_hour", "object",
                                        "cache",       "mount_point", "fuse",        "mount_helper",
                                        "allow_other", "wazuh"};
    static struct report report;
    struct config config = {.scheme = CONFIG_FILE,
                            .source = "file:///nonexistent/source",
                            .bucket = "/nonexistent/source",
                            .prefix = "",
                            .timezone = "UTC",
                            .cache = "/proc/nonexistent",
                            .mountpoint = "/nonexistent/mount"};
    (void)state;
    assert_false(doctor_examine(&config, keep, &report));
    assert_int_equal(report.count, sizeof names / sizeof *names);
    for (size_t i = 0; i < report.count; i++)
        assert_string_equal(report.findings[i].step, names[i]);
    assert_int_equal(report.findings[5].state, DOCTOR_FAILED);
    assert_non_null(strstr(report.findings[5].cure.text, "/nonexistent/source"));
    assert_int_equal(report.findings[6].state, DOCTOR_NOT_ASKED);
    assert_int_equal(report.findings[8].state, DOCTOR_FAILED);
    assert_int_equal(report.findings[9].state, DOCTOR_FAILED);
}

/* --- Rendering -------------------------------------------------------------------------------- */

static struct finding make(enum doctor_state state, const char *found, const char *cure) {
    struct finding finding = {.step = "credentials", .state = state};
    fault_set(&finding.found, 0, "%s", found);
    fault_set(&finding.cure, 0, "%s", cure);
    return finding;
}

static void expect_text(const struct finding *finding, bool marks, const char *text) {
    struct buf out;
    buf_init(&out, 4096);
    assert_int_equal(doctor_text(finding, marks, &out), 0);
    assert_string_equal(buf_str(&out), text);
    buf_free(&out);
}

static void people_get_a_line_for_each_step(void **state) {
    (void)state;
    struct finding ok = make(DOCTOR_OK, "keys", "");
    expect_text(&ok, true, "✔ credentials    keys\n");
    expect_text(&ok, false, "ok       credentials    keys\n");
    struct finding failed = make(DOCTOR_FAILED, "", "set the keys");
    expect_text(&failed, true, "✘ credentials    set the keys\n");
    expect_text(&failed, false, "FAILED   credentials    set the keys\n");
    struct finding warning = make(DOCTOR_WARNING, "keys", "set others");
    expect_text(&warning, true, "! credentials    keys\n                 set others\n");
    expect_text(&warning, false,
                "warning  credentials    keys\n                        set others\n");
    struct finding not_asked = make(DOCTOR_NOT_ASKED, "a folder", "");
    expect_text(&not_asked, true, "– credentials    a folder\n");
    expect_text(&not_asked, false, "-        credentials    a folder\n");
}

static void a_line_that_does_not_fit_is_left_out(void **state) {
    (void)state;
    struct finding warning = make(DOCTOR_WARNING, "keys", "set others");
    struct buf out;
    buf_init(&out, 30);
    assert_int_not_equal(doctor_text(&warning, true, &out), 0);
    assert_int_equal(out.len, 0);
    buf_free(&out);
}

static const char *text_of(const cJSON *object, const char *name) {
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
    assert_non_null(text);
    return text;
}

static void machines_get_one_object(void **state) {
    (void)state;
    const struct finding findings[] = {make(DOCTOR_OK, "say \"x\"", ""),
                                       make(DOCTOR_WARNING, "\xc3\xa9 \xe2\x82\xac", "y"),
                                       make(DOCTOR_FAILED,
                                            "a\xff"
                                            "b\xc3",
                                            "c\xed\xa0\x80"),
                                       make(DOCTOR_NOT_ASKED, "", "")};
    static const char *const states[] = {"ok", "warning", "failed", "not_asked"};
    static const char *const found[] = {"say \"x\"", "\xc3\xa9 \xe2\x82\xac", "a?b?", ""};
    static const char *const cures[] = {"", "y", "c???", ""};
    struct buf out;
    buf_init(&out, 65536);
    assert_int_equal(doctor_json("s3://b/\xf5", false, findings, 4, "{\"Version\":\"v\"}", &out),
                     0);
    cJSON *report = cJSON_Parse(buf_str(&out));
    assert_non_null(report);
    assert_string_equal(text_of(report, "source"), "s3://b/?");
    assert_true(cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(report, "works")));
    const cJSON *steps = cJSON_GetObjectItemCaseSensitive(report, "steps");
    assert_int_equal(cJSON_GetArraySize(steps), 4);
    for (int i = 0; i < 4; i++) {
        const cJSON *step = cJSON_GetArrayItem(steps, i);
        assert_string_equal(text_of(step, "step"), "credentials");
        assert_string_equal(text_of(step, "state"), states[i]);
        assert_string_equal(text_of(step, "found"), found[i]);
        assert_string_equal(text_of(step, "cure"), cures[i]);
    }
    const cJSON *policy = cJSON_GetObjectItemCaseSensitive(report, "policy");
    assert_string_equal(text_of(policy, "Version"), "v");
    cJSON_Delete(report);
    buf_reset(&out);
    assert_int_equal(doctor_json("s3://b/", true, findings, 1, NULL, &out), 0);
    assert_null(strstr(buf_str(&out), "policy"));
    buf_free(&out);
}

static void expect_span(int64_t seconds, const char *text) {
    char span[SPAN_TEXT_MAX];
    write_span(seconds, span);
    assert_string_equal(span, text);
}

static void expect_size(uint64_t bytes, const char *text) {
    char size[SPAN_TEXT_MAX];
    write_size(bytes, size);
    assert_string_equal(size, text);
}

static void spans_and_sizes_are_for_people(void **state) {
    (void)state;
    expect_span(0, "0 seconds");
    expect_span(119, "119 seconds");
    expect_span(120, "2 minutes");
    expect_span(7199, "119 minutes");
    expect_span(7200, "2 hours");
    expect_span(86400, "24 hours");
    expect_span(10 * 86400, "10 days");
    expect_size(0, "0 bytes");
    expect_size(1536, "1.5 KiB");
    expect_size((uint64_t)10 << 30, "10.0 GiB");
    expect_size(UINT64_MAX, "16777216.0 TiB");
}

/* --- ossec.conf ------------------------------------------------------------------------------- */

#define LOCALFILE(location, more)                                                                  \
    "<localfile>\n<log_format>json</log_format>\n<location>" location "</location>" more           \
    "</localfile>\n"
#define KEEPS "<only-future-events> no </only-future-events>"

static void wazuhs_configuration_is_read_as_it_reads_it(void **state) {
    static const struct {
        const char *text, *folder;
        bool reads, keeps;
    } cases[] = {
        {"", NULL, false, false},
        {LOCALFILE("/mnt/macie/wazuh/*.json", KEEPS), NULL, true, true},
        {LOCALFILE("/mnt/macie/wazuh/*.json", KEEPS), "/mnt/macie/wazuh/", true, true},
        {LOCALFILE(" /mnt/macie/wazuh/*.json\n", ""), "/mnt/macie/wazuh/", true, false},
        {LOCALFILE("/mnt/macie/wazuh/*.json", KEEPS), "/mnt/other/wazuh/", false, false},
        {LOCALFILE("/mnt/macie/wazuh/*.json", KEEPS), "/mnt/macie/", false, false},
        {LOCALFILE("/mnt/macie/*/macie.ndjson", KEEPS), NULL, false, false},
        {LOCALFILE("/wazuh/x", KEEPS), NULL, false, false},
        {"<!-- " LOCALFILE("/mnt/macie/wazuh/*.json", KEEPS) " -->", NULL, false, false},
        {"<!-- a --><ossec_config>" LOCALFILE("/var/log/x", KEEPS)
             LOCALFILE("/m/wazuh/*.json", "<only-future-events>yes</only-future-events>"),
         NULL, true, false},
        {LOCALFILE("/m/wazuh/*.json", "") LOCALFILE("/var/log/x", KEEPS), NULL, true, false},
        {"<localfile><location>/m/wazuh/*.json</location>", NULL, false, false},
        {"<localfile><location>/m/wazuh/*.json</localfile>", NULL, false, false},
        {"<localfile><location></location></localfile><!--", NULL, false, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool keeps = true;
        bool reads = wazuh_conf_reads(cases[i].text, cases[i].folder, &keeps);
        if (reads != cases[i].reads || keeps != cases[i].keeps)
            fail_msg("%zu: %d, %d", i, reads, keeps);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_is_told_in_order),
        cmocka_unit_test(what_builds_on_a_failure_is_not_asked),
        cmocka_unit_test(the_mount_works_with_warnings_and_what_does_not_matter),
        cmocka_unit_test(only_what_is_not_well_has_a_cure),
        cmocka_unit_test(the_steps_go_from_the_options_to_wazuh),
        cmocka_unit_test(people_get_a_line_for_each_step),
        cmocka_unit_test(a_line_that_does_not_fit_is_left_out),
        cmocka_unit_test(machines_get_one_object),
        cmocka_unit_test(spans_and_sizes_are_for_people),
        cmocka_unit_test(wazuhs_configuration_is_read_as_it_reads_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
