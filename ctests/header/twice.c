/* Included twice, and used a little: what C and C++ both must accept. */
#include <gort.h>
#include <gort.h>

#if GORT_VERSION_NUM != ((GORT_VERSION_MAJOR << 16) | (GORT_VERSION_MINOR << 8) | GORT_VERSION_PATCH)
#error "GORT_VERSION_NUM is not made of the version"
#endif
#if GORT_OK != 0 || GORT_ECLOSED != -4001 || GORT_EPANIC != -4002 || GORT_ENONAME != -4003
#error "gort's own status codes have moved"
#endif
#if GORT_EINVAL != -EINVAL || GORT_EAGAIN >= 0
#error "a status code is not minus its errno"
#endif

int64_t forever(void);
const char *text(int status);

int64_t forever(void) { return GORT_FOREVER; }

const char *text(int status) {
    switch (status) {
    case GORT_OK: return gort_version_string();
    case GORT_ECLOSED: return gort_err_name(status);
    case GORT_EINVAL: return gort_strerror(status);
    default: return NULL;
    }
}
