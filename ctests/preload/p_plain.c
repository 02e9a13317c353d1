/* A program without gort: nothing changes for it, with the library and without. */
/* ctest-plain: */
/* ctest-cflags: -Wl,--as-needed */
#include "plain.h"

static void there_is_no_gort(void) { CHECK(dlsym(RTLD_DEFAULT, "gort_init") == NULL); }

int main(int argc, char **argv) {
    T_BEGIN(argc, argv);
    RUN(there_is_no_gort);
    RUN(data_goes_through);
    RUN(signals_interrupt_calls);
    RUN(cancelled_threads_are_cleaned_up);
    RUN(signal_masks_of_ppoll_and_pselect_hold);
    return t_end();
}
