#include <maciefs/doctor.h>

#define COLUMN 14 /* of what follows the step's name */

static const char *const signs[] = {
    [DOCTOR_OK] = "✔", [DOCTOR_WARNING] = "!", [DOCTOR_FAILED] = "✘", [DOCTOR_NOT_ASKED] = "–"};
static const char *const words[] = {[DOCTOR_OK] = "ok      ",
                                    [DOCTOR_WARNING] = "warning ",
                                    [DOCTOR_FAILED] = "FAILED  ",
                                    [DOCTOR_NOT_ASKED] = "-       "};

int doctor_text(const struct finding *finding, bool marks, struct buf *out) {
    const char *found = finding->found.text, *cure = finding->cure.text;
    size_t before = out->len;
    int err = buf_printf(out, "%s %-*s %s\n", marks ? signs[finding->state] : words[finding->state],
                         COLUMN, finding->step, found[0] ? found : cure);
    if (!err && found[0] && cure[0])
        err = buf_printf(out, "%*s %s\n", COLUMN + (marks ? 2 : 9), "", cure);
    if (err)
        out->len = before;
    return err;
}

int doctor_text_end(bool works, struct buf *out) {
    return buf_append_str(out, works ? "The mount would work.\n" : "The mount would not work.\n");
}
