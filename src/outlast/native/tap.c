/* The reads of a text that flows, taken where the event loop hands them over: what Flow.feed does
 * in gateway/flow.py, for whole chunks and a client who gets chunks too, and who asks it first in
 * gateway/relay/connection.py. Of a thousand streams nothing is in the processor's caches when their turn
 * comes; here a read passes without the interpreter. */

#include "native.h"

#include <stddef.h>
#include <structmember.h>

/* -- a flow --------------------------------------------------------------------------------- */

/* The slots of a Flow that a read changes, in the order of SLOTS. */
enum { RUNS, TIMES, WAITING, REST, FLUSHING, LENT, MID_WORD, LIFE_AT, HALF_AT, SPOKE_AT, SLOT_COUNT };
static const char *const SLOTS[SLOT_COUNT] = {
    "runs", "times", "waiting", "rest", "flushing", "_lent", "mid_word", "life_at", "half_at", "spoke_at",
};

typedef struct {
    PyObject_HEAD
    vectorcallfunc call;
    PyObject *flow, *before, *after, *write, *half, *clock, *nothing;
    PyObject *append; /* the module's */
    Py_ssize_t at[SLOT_COUNT]; /* where they are in the flow */
    NativeShape shape;
} Tap;

static inline PyObject **slot(const Tap *tap, int which) {
    return (PyObject **)((char *)tap->flow + tap->at[which]);
}

static inline void put(const Tap *tap, int which, PyObject *value) {
    PyObject **place = slot(tap, which), *before = *place;
    *place = Py_NewRef(value);
    Py_XDECREF(before);
}

/* Find the slots; 0 where the flow has not these. */
static int find_slots(Tap *tap) {
    PyTypeObject *type = Py_TYPE(tap->flow);
    for (int i = 0; i < SLOT_COUNT; i++) {
        PyObject *found = PyObject_GetAttrString((PyObject *)type, SLOTS[i]);
        if (found == NULL) return 0;
        Py_DECREF(found); /* the type keeps it */
        if (!Py_IS_TYPE(found, &PyMemberDescr_Type)) return 0;
        PyMemberDef *member = ((PyMemberDescrObject *)found)->d_member;
        if (member->type != T_OBJECT_EX) return 0;
        tap->at[i] = member->offset;
    }
    return 1;
}

/* Note what was said, and when. */
static int note(const Tap *tap, PyObject *said, PyObject *now) {
    PyObject *done;
    if (PyList_Append(*slot(tap, RUNS), said) < 0) return -1;
    done = PyObject_CallMethodOneArg(*slot(tap, TIMES), tap->append, now);
    if (done == NULL) return -1;
    Py_DECREF(done);
    put(tap, LIFE_AT, now);
    return 0;
}

/* Say what waits now, and write what goes out. `waited`: whether something did before. */
static int tell(const Tap *tap, NativePassed *passed, PyObject *now, int waited) {
    int out = PyBytes_GET_SIZE(passed->out) > 0, waits = PyBytes_GET_SIZE(passed->held) > 0;
    PyObject *done;
    if (waits || waited) {
        if (out || !waited) put(tap, HALF_AT, now);
        put(tap, WAITING, passed->held);
        if (waits && *slot(tap, FLUSHING) == Py_False) {
            done = PyObject_CallNoArgs(tap->half);
            if (done == NULL) return -1;
            Py_DECREF(done);
        }
    }
    if (!out) return 0;
    if (waited) put(tap, LENT, tap->nothing);
    put(tap, MID_WORD, Py_False);
    put(tap, SPOKE_AT, now);
    done = PyObject_CallOneArg(tap->write, passed->out);
    if (done == NULL) return -1;
    Py_DECREF(done);
    return 0;
}

/* Take a read. 1: it was taken; 0: nothing was done, since it brings anything else, or may. */
static int take(const Tap *tap, PyObject *data) {
    PyObject *waiting = *slot(tap, WAITING), *rest = *slot(tap, REST), *now;
    NativePassed passed;
    int found, waited;
    if (!PyBytes_CheckExact(data) || !PyBytes_CheckExact(waiting) || PyBytes_GET_SIZE(rest) > 0) return 0;
    waited = PyBytes_GET_SIZE(waiting) > 0;
    found = native_pass(data, &tap->shape, waiting, &passed);
    if (found <= 0) return found;
    now = PyObject_CallNoArgs(tap->clock);
    if (now == NULL || note(tap, passed.said, now) < 0 || tell(tap, &passed, now, waited) < 0) found = -1;
    Py_XDECREF(now);
    Py_DECREF(passed.said);
    Py_DECREF(passed.out);
    Py_DECREF(passed.held);
    return found;
}

static PyObject *tap_call(PyObject *self, PyObject *const *args, size_t count, PyObject *names) {
    int taken;
    if (PyVectorcall_NARGS(count) != 1 || names != NULL) {
        PyErr_SetString(PyExc_TypeError, "a tap is shown one read");
        return NULL;
    }
    taken = take((Tap *)self, args[0]);
    return taken < 0 ? NULL : PyBool_FromLong(taken);
}

static int tap_traverse(PyObject *self, visitproc visit, void *arg) {
    Tap *tap = (Tap *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(tap->flow);
    Py_VISIT(tap->write);
    Py_VISIT(tap->half);
    Py_VISIT(tap->clock);
    return 0;
}

static void tap_dealloc(PyObject *self) {
    Tap *tap = (Tap *)self;
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_XDECREF(tap->flow);
    Py_XDECREF(tap->before);
    Py_XDECREF(tap->after);
    Py_XDECREF(tap->write);
    Py_XDECREF(tap->half);
    Py_XDECREF(tap->clock);
    Py_XDECREF(tap->nothing);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

static PyMemberDef tap_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Tap, call), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot tap_slots[] = {
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_traverse, tap_traverse},
    {Py_tp_dealloc, tap_dealloc},
    {Py_tp_members, tap_members},
    {0, NULL},
};

static PyType_Spec tap_spec = {
    .name = "outlast_native.Tap",
    .basicsize = sizeof(Tap),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL |
             Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = tap_slots,
};

/* tap(flow, before, after, words, nothing, write, half, clock) -> what takes reads
 *
 * Called with a read it says whether it took it. `words`: whether they are kept whole; `nothing`:
 * an empty list; `write(chunk)`; `half()`: a word waits, and nobody will call `flush`. */
PyObject *native_tap(PyObject *module, PyObject *const *args, Py_ssize_t count) {
    NativeShape shape;
    Tap *tap;
    if (count != 8 || !native_shape(&shape, args[1], args[2], args[3])) Py_RETURN_NONE;
    tap = PyObject_GC_New(Tap, native_state(module)->tap);
    if (tap == NULL) return NULL;
    tap->call = tap_call;
    tap->shape = shape;
    tap->flow = Py_NewRef(args[0]);
    tap->before = Py_NewRef(args[1]);
    tap->after = Py_NewRef(args[2]);
    tap->nothing = Py_NewRef(args[4]);
    tap->write = Py_NewRef(args[5]);
    tap->half = Py_NewRef(args[6]);
    tap->clock = Py_NewRef(args[7]);
    tap->append = native_state(module)->append;
    PyObject_GC_Track(tap);
    if (find_slots(tap)) return (PyObject *)tap;
    Py_DECREF(tap);
    PyErr_SetString(PyExc_TypeError, "a tap wants a flow with its slots");
    return NULL;
}

/* -- a connection's reads ------------------------------------------------------------------- */

typedef struct {
    PyObject_HEAD
    vectorcallfunc call;
    PyObject *listener, *tap;
    Py_ssize_t missing;
} Reads;

static PyObject *reads_call(PyObject *self, PyObject *const *args, size_t count, PyObject *names) {
    Reads *reads = (Reads *)self;
    if (PyVectorcall_NARGS(count) == 1 && names == NULL && reads->missing == 0 && reads->tap != NULL &&
        Py_TYPE(reads->tap)->tp_dealloc == tap_dealloc) {
        PyObject *tap = Py_NewRef(reads->tap); /* it may be taken away meanwhile */
        int taken = take((Tap *)tap, args[0]);
        Py_DECREF(tap);
        if (taken < 0) return NULL;
        if (taken) Py_RETURN_NONE;
    }
    return PyObject_Vectorcall(reads->listener, args, count, names);
}

static int reads_traverse(PyObject *self, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(((Reads *)self)->listener);
    Py_VISIT(((Reads *)self)->tap);
    return 0;
}

static int reads_clear(PyObject *self) {
    Py_CLEAR(((Reads *)self)->tap);
    return 0;
}

static void reads_dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_XDECREF(((Reads *)self)->listener);
    Py_XDECREF(((Reads *)self)->tap);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

static PyMemberDef reads_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Reads, call), READONLY, NULL},
    {"tap", T_OBJECT, offsetof(Reads, tap), 0, NULL},
    {"missing", T_PYSSIZET, offsetof(Reads, missing), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot reads_slots[] = {
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_traverse, reads_traverse},
    {Py_tp_clear, reads_clear},
    {Py_tp_dealloc, reads_dealloc},
    {Py_tp_members, reads_members},
    {0, NULL},
};

static PyType_Spec reads_spec = {
    .name = "outlast_native.Reads",
    .basicsize = sizeof(Reads),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL |
             Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = reads_slots,
};

/* reads(listener) -> what is called with each read of a connection
 *
 * It has `missing`, how many bytes are missing until a chunk begins (-1: nobody knows), and `tap`,
 * which is asked first where one begins; what that does not take the listener hears. */
PyObject *native_reads(PyObject *module, PyObject *const *args, Py_ssize_t count) {
    Reads *reads;
    if (count != 1) Py_RETURN_NONE;
    reads = PyObject_GC_New(Reads, native_state(module)->reads);
    if (reads == NULL) return NULL;
    reads->call = reads_call;
    reads->listener = Py_NewRef(args[0]);
    reads->tap = NULL;
    reads->missing = -1;
    PyObject_GC_Track(reads);
    return (PyObject *)reads;
}

int native_tap_begin(PyObject *module) {
    NativeState *state = native_state(module);
    state->tap = (PyTypeObject *)PyType_FromModuleAndSpec(module, &tap_spec, NULL);
    state->reads = (PyTypeObject *)PyType_FromModuleAndSpec(module, &reads_spec, NULL);
    state->append = PyUnicode_InternFromString("append");
    return state->append == NULL || state->tap == NULL || state->reads == NULL ? -1 : 0;
}
