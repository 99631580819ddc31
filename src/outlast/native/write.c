/* Small writes to a plain connection, past the event loop's transport while nothing waits there:
 * what a transport does for each costs as much as the rest of a read's way. The transport gets what
 * the system does not take at once, and finds out about errors. */

#include "native.h"

#include <stddef.h>
#include <structmember.h>
#include <sys/socket.h>

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0 /* Python ignores SIGPIPE */
#endif

typedef struct {
    PyObject_HEAD
    vectorcallfunc call;
    int fd; /* -1: not this connection's any more */
    PyObject *write, *waiting; /* of the transport */
} Writer;

/* Whether the transport has nothing that must leave before. -1: error. */
static int is_free(const Writer *writer) {
    PyObject *said;
    Py_ssize_t waiting;
    if (writer->fd < 0) return 0;
    said = PyObject_CallNoArgs(writer->waiting);
    if (said == NULL) return -1;
    waiting = PyLong_AsSsize_t(said);
    Py_DECREF(said);
    if (waiting < 0 && PyErr_Occurred()) return -1;
    return waiting == 0;
}

static PyObject *writer_call(PyObject *self, PyObject *const *args, size_t count, PyObject *names) {
    Writer *writer = (Writer *)self;
    PyObject *rest, *done;
    Py_ssize_t size, sent;
    int direct;
    if (PyVectorcall_NARGS(count) != 1 || names != NULL || !PyBytes_CheckExact(args[0])) {
        PyErr_SetString(PyExc_TypeError, "a writer is given bytes");
        return NULL;
    }
    size = PyBytes_GET_SIZE(args[0]);
    direct = is_free(writer);
    if (direct < 0) return NULL;
    if (!direct) return PyObject_CallOneArg(writer->write, args[0]);
    sent = send(writer->fd, PyBytes_AS_STRING(args[0]), (size_t)size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent == size) Py_RETURN_NONE;
    if (sent <= 0) return PyObject_CallOneArg(writer->write, args[0]);
    rest = PyBytes_FromStringAndSize(PyBytes_AS_STRING(args[0]) + sent, size - sent);
    if (rest == NULL) return NULL;
    done = PyObject_CallOneArg(writer->write, rest);
    Py_DECREF(rest);
    return done;
}

static int writer_traverse(PyObject *self, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(((Writer *)self)->write);
    Py_VISIT(((Writer *)self)->waiting);
    return 0;
}

static void writer_dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_XDECREF(((Writer *)self)->write);
    Py_XDECREF(((Writer *)self)->waiting);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

static PyObject *writer_close(PyObject *self, PyObject *nothing) {
    ((Writer *)self)->fd = -1;
    Py_RETURN_NONE;
}

static PyMethodDef writer_methods[] = {
    {"close", writer_close, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef writer_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Writer, call), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot writer_slots[] = {
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_traverse, writer_traverse},
    {Py_tp_dealloc, writer_dealloc},
    {Py_tp_methods, writer_methods},
    {Py_tp_members, writer_members},
    {0, NULL},
};

static PyType_Spec writer_spec = {
    .name = "outlast_native.Writer",
    .basicsize = sizeof(Writer),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL |
             Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = writer_slots,
};

/* writer(fd, write, waiting) -> what writes to this connection, as its transport's `write`
 *
 * The others are the transport's `write` and `get_write_buffer_size`. `close()`: the connection is
 * lost, and its descriptor will be another's; it is the transport's to say what is written then. */
PyObject *native_writer(PyObject *module, PyObject *const *args, Py_ssize_t count) {
    Writer *writer;
    long fd = count == 3 ? PyLong_AsLong(args[0]) : -1;
    if (fd == -1 && PyErr_Occurred()) return NULL;
    if (fd < 0 || fd > INT32_MAX) Py_RETURN_NONE;
    writer = PyObject_GC_New(Writer, native_state(module)->writer);
    if (writer == NULL) return NULL;
    writer->call = writer_call;
    writer->fd = (int)fd;
    writer->write = Py_NewRef(args[1]);
    writer->waiting = Py_NewRef(args[2]);
    PyObject_GC_Track(writer);
    return (PyObject *)writer;
}

int native_writer_begin(PyObject *module) {
    NativeState *state = native_state(module);
    state->writer = (PyTypeObject *)PyType_FromModuleAndSpec(module, &writer_spec, NULL);
    return state->writer == NULL ? -1 : 0;
}
