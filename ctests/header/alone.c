/* gort.h needs nothing before it. Compiled as every C and C++ standard, as strictly as can be. */
#include <gort.h>
