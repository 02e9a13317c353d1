/*
 * What needs CPython's own headers, private ones among them: thread states.
 *
 * The one thing to know: nobody but the lane's hooks and the goroutine's entry (lane.rs, go.rs) call these, on threads
 * of the lane, and each function says whether the GIL is held. When the interpreter is being finalised, Python ends a
 * thread that asks for the GIL with pthread_exit (3.14 and later hang it). A thread of the lane must not be unwound: it
 * is caught on its way, by the first function here, and sleeps for ever, as a daemon thread might as well have done.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <frameobject.h>
/* The private headers of 3.11 define it once more. */
#undef _PyGC_FINALIZED

#if PY_VERSION_HEX < 0x030C0000
/* The key under which PyGILState_Ensure finds a thread's state: _PyRuntime.gilstate.autoTSSkey. */
#define Py_BUILD_CORE 1
#include <internal/pycore_runtime.h>
#undef Py_BUILD_CORE
#endif
#if PY_VERSION_HEX >= 0x030B0000 && PY_VERSION_HEX < 0x030E0000
#define Py_BUILD_CORE 1
#include <internal/pycore_frame.h>
#undef Py_BUILD_CORE
#endif

#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

static void sleep_for_ever(const int *leaving)
{
    while (*leaving)
        pause();
}

/* Between GUARD and UNGUARD a pthread_exit does not get past this function. Compiled with -fexceptions. */
#define GUARD int leaving __attribute__((cleanup(sleep_for_ever))) = 1
#define UNGUARD (leaving = 0)

/* ------------------------------------------------------------------------------------------ who runs here */

static void bind(PyThreadState *state)
{
#if PY_VERSION_HEX < 0x030C0000
    PyThread_tss_set(&_PyRuntime.gilstate.autoTSSkey, state);
#else
    (void)state; /* done by whatever attaches it */
#endif
}

/* Attach `state`, which was not attached, to a thread that has none attached. */
void gort_py_attach(PyThreadState *state)
{
    GUARD;
    bind(state);
    PyEval_RestoreThread(state);
    UNGUARD;
}

/* Detach this thread's state. */
void gort_py_detach(void)
{
    PyEval_SaveThread();
}

/* Attach `state` instead of the one that is attached. Up to 3.11 the GIL is held throughout; later it may be lost for a
 * while. */
void gort_py_swap(PyThreadState *state)
{
    GUARD;
    bind(state);
    PyThreadState_Swap(state);
    UNGUARD;
}

/* As the thread's state, for PyGILState_Ensure, while none is attached. */
void gort_py_bind(PyThreadState *state)
{
    bind(state);
}

/* The state that is attached, or NULL. Up to 3.11: perhaps another thread's. */
PyThreadState *gort_py_attached(void)
{
#if PY_VERSION_HEX >= 0x030D0000
    return PyThreadState_GetUnchecked();
#else
    return _PyThreadState_UncheckedGet();
#endif
}

/* ------------------------------------------------------------------------------------------- a goroutine's state */

#if PY_VERSION_HEX >= 0x030B0000 && PY_VERSION_HEX < 0x030E0000
#define POOL 256
/*
 * The first chunk of a state's data stack, where frames live: Python gets 16 KiB from mmap for each state, and gives them
 * back with it. We keep some. Guarded by the GIL.
 */
static _PyStackChunk *pool[POOL];
static int pooled;

static void give_chunk(PyThreadState *state)
{
    if (pooled == 0)
        return;
    _PyStackChunk *chunk = pool[--pooled];
    state->datastack_chunk = chunk;
    /* As push_chunk leaves it: the first place of the first chunk is not used, so that the chunk is never empty. */
    state->datastack_top = &chunk->data[1];
    state->datastack_limit = (PyObject **)((char *)chunk + chunk->size);
}

static void take_chunk(PyThreadState *state)
{
    _PyStackChunk *chunk = state->datastack_chunk;
    if (chunk == NULL || chunk->previous != NULL || pooled == POOL)
        return;
    pool[pooled++] = chunk;
    state->datastack_chunk = NULL;
    state->datastack_top = NULL;
    state->datastack_limit = NULL;
}
#else
static void give_chunk(PyThreadState *state) { (void)state; }
static void take_chunk(PyThreadState *state) { (void)state; }
#endif

/* A state for a goroutine, with the GIL held. `id` is what sys._current_frames() and faulthandler show. */
PyThreadState *gort_py_state_new(PyInterpreterState *interpreter, unsigned long id, size_t stack_size)
{
    PyThreadState *state = PyThreadState_New(interpreter);
    if (state == NULL)
        return NULL;
    state->thread_id = id;
    give_chunk(state);
#if PY_VERSION_HEX >= 0x030C0000 && PY_VERSION_HEX < 0x030E0000
    /* Python's limit of nested C calls is meant for 8 MiB, and in 3.12 for less. */
    int limit = (int)(stack_size / 1024);
    if (state->c_recursion_remaining > limit)
        state->c_recursion_remaining = limit;
#else
    (void)stack_size;
#endif
    return state;
}

/* A state for a thread of the lane while it runs no goroutine; may be called without the GIL. */
PyThreadState *gort_py_home_new(PyInterpreterState *interpreter)
{
    return PyThreadState_New(interpreter);
}

/* Tell Python where the stack is that the calling goroutine runs on: from 3.14 on it measures how much is left. */
void gort_py_state_stack(PyThreadState *state, void *low, size_t size)
{
#if PY_VERSION_HEX >= 0x030E0000
    static int (*protect)(PyThreadState *, void *, size_t);
    static int looked;
    if (!looked) {
        protect = (int (*)(PyThreadState *, void *, size_t))dlsym(RTLD_DEFAULT,
                                                                  "PyUnstable_ThreadState_SetStackProtection");
        looked = 1;
    }
    if (protect != NULL && protect(state, low, size) < 0)
        PyErr_Clear();
#else
    (void)state, (void)low, (void)size;
#endif
}

/* Empty the calling goroutine's own state, attached: what this destroys may run any code, and park. */
void gort_py_state_clear(PyThreadState *state)
{
    GUARD;
    PyThreadState_Clear(state);
    take_chunk(state);
    UNGUARD;
}

/* Free a state that is cleared and not attached. The GIL is held. */
void gort_py_state_delete(PyThreadState *state)
{
    PyThreadState_Delete(state);
}

/* End a thread's own state, attached. */
void gort_py_home_delete(PyThreadState *state)
{
    GUARD;
    PyThreadState_Clear(state);
    PyThreadState_DeleteCurrent();
    UNGUARD;
}

/* ------------------------------------------------------------------------------------------------------------ calls */

/* Call what a goroutine runs: `args[-1]` may be written to. */
PyObject *gort_py_call(PyObject *callable, PyObject **args, size_t count, PyObject *names)
{
    GUARD;
    PyObject *result = PyObject_Vectorcall(callable, args, count | PY_VECTORCALL_ARGUMENTS_OFFSET, names);
    UNGUARD;
    return result;
}

/* The code that called the function that calls this, a new reference, and the instruction it is at; or NULL. */
PyObject *gort_py_caller(int *instruction)
{
#if PY_VERSION_HEX >= 0x030B0000 && PY_VERSION_HEX < 0x030E0000
    /* Without making a frame object. */
#if PY_VERSION_HEX >= 0x030D0000
    _PyInterpreterFrame *frame = PyThreadState_Get()->current_frame;
#else
    _PyInterpreterFrame *frame = PyThreadState_Get()->cframe->current_frame;
#endif
    while (frame != NULL && _PyFrame_IsIncomplete(frame))
        frame = frame->previous;
    if (frame == NULL)
        return NULL;
    *instruction = _PyInterpreterFrame_LASTI(frame) * (int)sizeof(_Py_CODEUNIT);
#if PY_VERSION_HEX >= 0x030D0000
    PyObject *code = frame->f_executable;
#else
    PyObject *code = (PyObject *)frame->f_code;
#endif
    if (!PyCode_Check(code))
        return NULL;
    Py_INCREF(code);
    return code;
#else
    PyFrameObject *frame = PyThreadState_GetFrame(PyThreadState_Get());
    if (frame == NULL)
        return NULL;
#if PY_VERSION_HEX >= 0x030B0000
    *instruction = PyFrame_GetLasti(frame);
#elif PY_VERSION_HEX >= 0x030A0000
    *instruction = frame->f_lasti * (int)sizeof(_Py_CODEUNIT);
#else
    *instruction = frame->f_lasti;
#endif
    PyObject *code = (PyObject *)PyFrame_GetCode(frame);
    Py_DECREF(frame);
    return code;
#endif
}

/* The line of `instruction` in `code`. */
int gort_py_line(PyObject *code, int instruction)
{
    return PyCode_Addr2Line((PyCodeObject *)code, instruction);
}

/* Is it a function written in Python, or a bound method of one? */
int gort_py_is_plain(PyObject *callable)
{
    if (PyMethod_Check(callable))
        callable = PyMethod_GET_FUNCTION(callable);
    return PyFunction_Check(callable);
}
