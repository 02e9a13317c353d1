/* A program as a user writes it, against the installed library. */
#include <gort.h>
#include <stdio.h>
#include <string.h>

int main(void) {
    printf("gort %s\n", gort_version_string());
    if (gort_version() != GORT_VERSION_NUM)
        return 1;
    return strcmp(gort_strerror(GORT_ECLOSED), "channel is closed") != 0;
}
