#include <maciefs/report.h>

#include <stdarg.h>
#include <stdio.h>
#include <syslog.h>

#define MESSAGE_MAX 4096

/* Set before threads start, and read by all of them. */
static bool syslog_open;
static bool debug_wanted;

static const int priorities[] = {
    [REPORT_ERROR] = LOG_ERR,
    [REPORT_WARNING] = LOG_WARNING,
    [REPORT_INFO] = LOG_INFO,
    [REPORT_DEBUG] = LOG_DEBUG,
};

void report_open(bool to_syslog, bool debug) {
    if (to_syslog)
        openlog("maciefs", LOG_PID, LOG_DAEMON);
    syslog_open = to_syslog;
    debug_wanted = debug;
}

/* Messages quote keys and answers of servers, which must not steer a terminal or forge a line. */
static void make_printable(char *text) {
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
}

void report(enum report_level level, const char *format, ...) {
    if (level == REPORT_DEBUG && !debug_wanted)
        return;
    char text[MESSAGE_MAX];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (len < 0)
        return;
    make_printable(text);
    if (syslog_open)
        syslog(priorities[level], "%s", text);
    else
        fprintf(stderr, "maciefs: %s\n", text);
}
