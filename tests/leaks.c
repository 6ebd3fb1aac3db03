/*
 * Leaks that are not ours, for the leak checker; linked into what is built with it.
 */
const char *__lsan_default_suppressions(void);

/* libfuse keeps a copy of the mount point's name for a session that was not unmounted by itself. */
const char *__lsan_default_suppressions(void) {
    return "leak:fuse_session_mount\n";
}

const char *__lsan_default_options(void);

const char *__lsan_default_options(void) {
    return "print_suppressions=0";
}
