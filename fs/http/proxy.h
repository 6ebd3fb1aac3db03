/*
 * The proxy that a URL is asked through, where the environment names one: for http:// http_proxy,
 * for https:// https_proxy, for both all_proxy; each in capitals too, as curl and AWS's tools read
 * them (curl alone leaves out HTTP_PROXY, which only matters to CGI programs). Whom no_proxy
 * excepts is for libcurl to see.
 */
#ifndef MACIEFS_HTTP_PROXY_H
#define MACIEFS_HTTP_PROXY_H

#include <maciefs/fault.h>
#include <stdbool.h>

struct proxy {
    const char *url;      /* the variable's value, which may hold a password; NULL for no proxy */
    const char *variable; /* "https_proxy" */
    char name[300];       /* "proxy.example:3128" */
    unsigned port;        /* the URL's, or what is usual */
    bool has_user;
};

/*
 * Finds it. Returns 0, also for none; or -EPROTO with a fault that names the variable, and never
 * its value, where that is no address of a proxy.
 */
int proxy_find(const char *url, struct proxy *ret, struct fault *fault);

#endif
