#include <maciefs/fault.h>

#include <stdarg.h>
#include <stdio.h>

int fault_set(struct fault *fault, int err, const char *format, ...) {
    if (!fault)
        return err;
    va_list args;
    va_start(args, format);
    vsnprintf(fault->text, sizeof fault->text, format, args);
    va_end(args);
    fault->denied = false;
    /* Texts quote keys and answers of servers, which must not steer a terminal or forge a log line.
     */
    for (char *c = fault->text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    return err;
}
