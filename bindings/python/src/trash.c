/* The end of a Chan, which may hold the last reference to another Chan, and so on: Python's trashcan keeps such a chain
 * from using up the stack. Its macros are C. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

void gort_python_chan_free(PyObject *chan);

void gort_python_chan_dealloc(PyObject *chan)
{
    PyObject_GC_UnTrack(chan);
    Py_TRASHCAN_BEGIN(chan, gort_python_chan_dealloc)
    gort_python_chan_free(chan);
    Py_TRASHCAN_END
}
