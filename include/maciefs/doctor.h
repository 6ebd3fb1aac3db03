/*
 * The doctor: would the mount work, and if not, what is to be mended?
 *
 * An examination is a table of steps (fs/doctor/doctor.c). Each is a small function that asks the
 * module which knows, as the mount would, and leaves a finding: a state, what it found, and for
 * what is not well the module's own sentence of cause and cure. A step whose ground is taken away
 * by one that failed is not asked; all others are, so that one run tells all there is to mend.
 *
 * It mounts nothing, makes no folder, keeps no object, and leaves no secret in a finding. It ends
 * in bounded time: requests have their time limits, and where the server is not reached nothing
 * more is asked of it.
 */
#ifndef MACIEFS_DOCTOR_H
#define MACIEFS_DOCTOR_H

#include <maciefs/bytes.h>
#include <maciefs/config.h>
#include <maciefs/fault.h>
#include <stdbool.h>
#include <stddef.h>

enum doctor_state {
    DOCTOR_OK,
    DOCTOR_WARNING,   /* the mount would work, but somebody may miss something */
    DOCTOR_FAILED,    /* it would not */
    DOCTOR_NOT_ASKED, /* it is of no matter here, or a step that it builds on failed */
};

struct finding {
    const char *step; /* its name, static: "credentials" */
    enum doctor_state state;
    struct fault found; /* what there is, in words; "" for nothing to say */
    struct fault cure;  /* what is wrong and what to do; "" where nothing is */
};

#define DOCTOR_STEPS_MAX 24

/* Hears of each step as soon as it is done, in order. */
typedef void (*doctor_listener)(void *ctx, const struct finding *finding);

/*
 * Examines a configuration of CONFIG_CHECK. Sets the stream's time zone for the process. Returns
 * whether the mount would work: no step failed.
 */
bool doctor_examine(const struct config *config, doctor_listener tell, void *ctx);

/*
 * Renders one finding for people, in one line or, with a cure, two. `marks`: with the signs ✔ ✘ ! –
 * instead of words. Returns 0 or buf_append's errors.
 */
int doctor_text(const struct finding *finding, bool marks, struct buf *out);

/* The last line, which tells the outcome. Returns as doctor_text. */
int doctor_text_end(bool works, struct buf *out);

/*
 * Renders all findings as one JSON object: {"source": …, "works": …, "steps": [{"step": …,
 * "state": "ok" | "warning" | "failed" | "not_asked", "found": …, "cure": …}, …]}; and "policy",
 * where one is given (a JSON text, or NULL). Bytes that are no UTF-8 become '?'. Returns as
 * doctor_text.
 */
int doctor_json(const char *source, bool works, const struct finding *findings, size_t count,
                const char *policy, struct buf *out);

#endif
