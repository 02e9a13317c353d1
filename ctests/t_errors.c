/* The status codes: equal to -errno of this platform, known by name to the library, with a text for all.
 *
 * The one thing to know: gort.h writes them as `-EINVAL` and so on; what is tested here is that the *library*
 * means the same numbers. */
#include "gort.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void fail(int line, const char *what, int code) {
    fprintf(stderr, "t_errors.c:%d: %s (%d: %s, %s)\n", line, what, code, gort_err_name(code), gort_strerror(code));
    exit(1);
}

#define CHECK(condition, code) ((condition) ? (void)0 : fail(__LINE__, #condition, code))

static int is(const char *a, const char *b) { return strcmp(a, b) == 0; }

/* A code that the library returns has a name and a text of its own. */
static void known(int code, const char *name) {
    CHECK(is(gort_err_name(code), name), code);
    CHECK(!is(gort_strerror(code), gort_strerror(-4000)), code);
}

#define ERRNO(name)                                                                                          \
    do {                                                                                                     \
        CHECK(GORT_##name == -name, GORT_##name);                                                            \
        known(-name, "GORT_" #name);                                                                         \
    } while (0)

static void codes_with_an_errno_are_minus_errno(void) {
    ERRNO(EAGAIN); ERRNO(EBUSY); ERRNO(ECANCELED); ERRNO(EINVAL); ERRNO(ENOMEM); ERRNO(EPERM); ERRNO(ETIMEDOUT);
    ERRNO(ENOENT); ERRNO(ESRCH); ERRNO(EINTR); ERRNO(EIO); ERRNO(ENXIO); ERRNO(E2BIG); ERRNO(ENOEXEC);
    ERRNO(EBADF); ERRNO(ECHILD); ERRNO(EACCES); ERRNO(EFAULT); ERRNO(EEXIST); ERRNO(EXDEV); ERRNO(ENODEV);
    ERRNO(ENOTDIR); ERRNO(EISDIR); ERRNO(ENFILE); ERRNO(EMFILE); ERRNO(ENOTTY); ERRNO(ETXTBSY); ERRNO(EFBIG);
    ERRNO(ENOSPC); ERRNO(ESPIPE); ERRNO(EROFS); ERRNO(EMLINK); ERRNO(EPIPE); ERRNO(EDOM); ERRNO(ERANGE);
    ERRNO(EDEADLK); ERRNO(ENAMETOOLONG); ERRNO(ENOLCK); ERRNO(ENOSYS); ERRNO(ENOTEMPTY); ERRNO(ELOOP);
    ERRNO(ENOMSG); ERRNO(EIDRM); ERRNO(ENOLINK); ERRNO(EPROTO); ERRNO(EBADMSG); ERRNO(EOVERFLOW);
    ERRNO(EILSEQ); ERRNO(ENOTSOCK); ERRNO(EDESTADDRREQ); ERRNO(EMSGSIZE); ERRNO(EPROTOTYPE);
    ERRNO(ENOPROTOOPT); ERRNO(EPROTONOSUPPORT); ERRNO(ENOTSUP); ERRNO(EAFNOSUPPORT); ERRNO(EADDRINUSE);
    ERRNO(EADDRNOTAVAIL); ERRNO(ENETDOWN); ERRNO(ENETUNREACH); ERRNO(ENETRESET); ERRNO(ECONNABORTED);
    ERRNO(ECONNRESET); ERRNO(ENOBUFS); ERRNO(EISCONN); ERRNO(ENOTCONN); ERRNO(ECONNREFUSED);
    ERRNO(EHOSTUNREACH); ERRNO(EALREADY); ERRNO(EINPROGRESS); ERRNO(ESTALE); ERRNO(EDQUOT);
    ERRNO(EOWNERDEAD); ERRNO(ENOTRECOVERABLE);
    /* Two names, one number on some platforms: the code is right, either name will do. */
    CHECK(GORT_EOPNOTSUPP == -EOPNOTSUPP, GORT_EOPNOTSUPP);
}

static void gorts_own_codes_are_fixed(void) {
    CHECK(GORT_OK == 0, GORT_OK);
    known(0, "GORT_OK");
    CHECK(GORT_ECLOSED == -4001 && GORT_EPANIC == -4002 && GORT_ENONAME == -4003, GORT_ECLOSED);
    known(-4001, "GORT_ECLOSED");
    known(-4002, "GORT_EPANIC");
    known(-4003, "GORT_ENONAME");
    CHECK(is(gort_strerror(GORT_ECLOSED), "channel is closed"), GORT_ECLOSED);
}

static void every_number_has_a_name_and_a_text(void) {
    static const int odd[] = {1, 22, 4001, -4000, -4004, -2147483647 - 1, 2147483647};
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++)
        CHECK(is(gort_err_name(odd[i]), "GORT_UNKNOWN"), odd[i]);
    for (int code = -5000; code <= 5000; code++) {
        CHECK(gort_err_name(code) && strncmp(gort_err_name(code), "GORT_", 5) == 0, code);
        CHECK(gort_strerror(code) && gort_strerror(code)[0], code);
    }
}

static void the_library_is_the_one_of_the_header(void) {
    char text[64];
    snprintf(text, sizeof text, "%d.%d.%d", GORT_VERSION_MAJOR, GORT_VERSION_MINOR, GORT_VERSION_PATCH);
    CHECK(gort_version() == GORT_VERSION_NUM, 0);
    CHECK(is(gort_version_string(), text), 0);
}

static void errno_is_left_alone(void) {
    errno = 4711;
    (void)gort_strerror(GORT_EINVAL);
    (void)gort_err_name(-12345);
    (void)gort_version_string();
    CHECK(errno == 4711, 0);
}

int main(void) {
    codes_with_an_errno_are_minus_errno();
    gorts_own_codes_are_fixed();
    every_number_has_a_name_and_a_text();
    the_library_is_the_one_of_the_header();
    errno_is_left_alone();
    return 0;
}
