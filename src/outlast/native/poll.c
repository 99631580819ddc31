/* The reads of plain connections, past the event loop's transports: many at a turn of the loop, each
 * at an edge of its own readiness (epoll(7)), and given to who takes it without anything between.
 * relay/direct.py says who uses it, and takes care that a connection is removed before it is closed.
 * Linux alone. */

#include "native.h"

#ifdef __linux__

#include <errno.h>
#include <stddef.h>
#include <structmember.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_BYTES (256 << 10)
#define READS_MAX 256 /* at a turn: others have theirs too */
#define ENDING (EPOLLRDHUP | EPOLLHUP | EPOLLERR)

typedef struct {
    PyObject *received, *left; /* NULL: it is not watched */
    uint32_t since; /* what is reported for whom was here before is not for this one */
} Watched;

typedef struct {
    PyObject_HEAD
    vectorcallfunc call;
    int epoll;
    uint32_t adds;
    Watched *watched; /* by file descriptor */
    Py_ssize_t room;
    char *buffer;
} Poll;

static Watched *watched_at(Poll *poll, long fd) {
    return fd >= 0 && fd < poll->room && poll->watched[fd].received != NULL ? &poll->watched[fd] : NULL;
}

static int arm(Poll *poll, int operation, int fd) {
    struct epoll_event wanted = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET};
    wanted.data.u64 = ((uint64_t)poll->watched[fd].since << 32) | (uint32_t)fd;
    return epoll_ctl(poll->epoll, operation, fd, &wanted);
}

static void forget(Poll *poll, int fd) {
    Watched before = poll->watched[fd];
    poll->watched[fd].received = poll->watched[fd].left = NULL;
    if (poll->epoll >= 0) epoll_ctl(poll->epoll, EPOLL_CTL_DEL, fd, NULL);
    Py_DECREF(before.received);
    Py_DECREF(before.left);
}

/* Take the error that is set. */
static PyObject *raised(void) {
#if PY_VERSION_HEX >= 0x030C0000
    return PyErr_GetRaisedException();
#else
    PyObject *type, *error, *trace;
    PyErr_Fetch(&type, &error, &trace);
    PyErr_NormalizeException(&type, &error, &trace);
    if (trace != NULL) PyException_SetTraceback(error, trace);
    Py_XDECREF(type);
    Py_XDECREF(trace);
    return error;
#endif
}

/* It is watched no more: somebody else finds out what it has come to. `failed`: an error is set. */
static void leave(Poll *poll, int fd, int failed) {
    PyObject *left = Py_NewRef(poll->watched[fd].left), *done;
    PyObject *error = failed ? raised() : Py_NewRef(Py_None);
    forget(poll, fd);
    done = error != NULL ? PyObject_CallOneArg(left, error) : NULL;
    if (done == NULL) PyErr_WriteUnraisable(left);
    Py_XDECREF(done);
    Py_DECREF(left);
    Py_XDECREF(error);
}

static void read_one(Poll *poll, int fd, uint32_t events) {
    uint32_t since = poll->watched[fd].since;
    PyObject *received, *data, *done = NULL;
    ssize_t size;
    if (events & ENDING) {
        leave(poll, fd, 0);
        return;
    }
    do size = recv(fd, poll->buffer, READ_BYTES, MSG_DONTWAIT);
    while (size < 0 && errno == EINTR);
    if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
    if (size <= 0) {
        leave(poll, fd, 0);
        return;
    }
    received = Py_NewRef(poll->watched[fd].received);
    data = PyBytes_FromStringAndSize(poll->buffer, size);
    if (data != NULL) done = PyObject_CallOneArg(received, data);
    Py_XDECREF(data);
    Py_DECREF(received);
    if (watched_at(poll, fd) != NULL && poll->watched[fd].since == since) {
        /* There may be more: without this the edge would be past. */
        if (done != NULL && size == READ_BYTES) arm(poll, EPOLL_CTL_MOD, fd);
        if (done == NULL) leave(poll, fd, 1);
    } else if (done == NULL) {
        PyErr_WriteUnraisable(NULL);
    }
    Py_XDECREF(done);
}

static PyObject *poll_call(PyObject *self, PyObject *const *args, size_t count, PyObject *names) {
    Poll *poll = (Poll *)self;
    struct epoll_event events[READS_MAX];
    int ready, i;
    if (PyVectorcall_NARGS(count) != 0 || names != NULL) {
        PyErr_SetString(PyExc_TypeError, "a poll is called with nothing");
        return NULL;
    }
    ready = poll->epoll < 0 ? 0 : epoll_wait(poll->epoll, events, READS_MAX, 0);
    if (ready < 0 && errno != EINTR) return PyErr_SetFromErrno(PyExc_OSError);
    Py_INCREF(self);
    for (i = 0; i < ready; i++) {
        int fd = (int)(events[i].data.u64 & 0xffffffffu);
        Watched *one = watched_at(poll, fd);
        if (one != NULL && one->since == (uint32_t)(events[i].data.u64 >> 32)) {
            read_one(poll, fd, events[i].events);
        }
    }
    Py_DECREF(self);
    Py_RETURN_NONE;
}

/* -- its methods ---------------------------------------------------------------------------- */

static int has_room(Poll *poll, long fd) {
    Py_ssize_t room = poll->room > 0 ? poll->room : 64;
    Watched *grown;
    if (fd < poll->room) return 1;
    while (room <= fd) room *= 2;
    grown = PyMem_Realloc(poll->watched, (size_t)room * sizeof(Watched));
    if (grown == NULL) return 0;
    memset(grown + poll->room, 0, (size_t)(room - poll->room) * sizeof(Watched));
    poll->watched = grown;
    poll->room = room;
    return 1;
}

static PyObject *poll_add(PyObject *self, PyObject *const *args, Py_ssize_t count) {
    Poll *poll = (Poll *)self;
    long fd = count == 3 ? PyLong_AsLong(args[0]) : -1;
    if (PyErr_Occurred()) return NULL;
    if (fd < 0 || fd > INT32_MAX || watched_at(poll, fd) != NULL) {
        PyErr_SetString(PyExc_ValueError, "a poll adds what it does not watch yet");
        return NULL;
    }
    if (!has_room(poll, fd)) return PyErr_NoMemory();
    poll->watched[fd].since = ++poll->adds;
    if (arm(poll, EPOLL_CTL_ADD, (int)fd) < 0) return PyErr_SetFromErrno(PyExc_OSError);
    poll->watched[fd].received = Py_NewRef(args[1]);
    poll->watched[fd].left = Py_NewRef(args[2]);
    Py_RETURN_NONE;
}

static PyObject *poll_remove(PyObject *self, PyObject *arg) {
    long fd = PyLong_AsLong(arg);
    if (fd == -1 && PyErr_Occurred()) return NULL;
    if (watched_at((Poll *)self, fd) != NULL) forget((Poll *)self, (int)fd);
    Py_RETURN_NONE;
}

static PyObject *poll_fileno(PyObject *self, PyObject *nothing) { return PyLong_FromLong(((Poll *)self)->epoll); }

static int poll_clear(PyObject *self) {
    Poll *poll = (Poll *)self;
    for (Py_ssize_t fd = 0; fd < poll->room; fd++) {
        if (poll->watched[fd].received != NULL) forget(poll, (int)fd);
    }
    return 0;
}

static PyObject *poll_close(PyObject *self, PyObject *nothing) {
    Poll *poll = (Poll *)self;
    for (Py_ssize_t fd = 0; fd < poll->room; fd++) {
        if (poll->watched[fd].received != NULL) leave(poll, (int)fd, 0);
    }
    if (poll->epoll >= 0) close(poll->epoll);
    poll->epoll = -1;
    Py_RETURN_NONE;
}

static int poll_traverse(PyObject *self, visitproc visit, void *arg) {
    Poll *poll = (Poll *)self;
    Py_VISIT(Py_TYPE(self));
    for (Py_ssize_t fd = 0; fd < poll->room; fd++) {
        Py_VISIT(poll->watched[fd].received);
        Py_VISIT(poll->watched[fd].left);
    }
    return 0;
}

static void poll_dealloc(PyObject *self) {
    Poll *poll = (Poll *)self;
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    poll_clear(self);
    if (poll->epoll >= 0) close(poll->epoll);
    PyMem_Free(poll->watched);
    PyMem_Free(poll->buffer);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

static PyMethodDef poll_methods[] = {
    {"add", (PyCFunction)(void (*)(void))poll_add, METH_FASTCALL, NULL},
    {"remove", poll_remove, METH_O, NULL},
    {"fileno", poll_fileno, METH_NOARGS, NULL},
    {"close", poll_close, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef poll_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Poll, call), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot poll_slots[] = {
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_traverse, poll_traverse},
    {Py_tp_clear, poll_clear},
    {Py_tp_dealloc, poll_dealloc},
    {Py_tp_methods, poll_methods},
    {Py_tp_members, poll_members},
    {0, NULL},
};

static PyType_Spec poll_spec = {
    .name = "outlast_native.Poll",
    .basicsize = sizeof(Poll),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL |
             Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = poll_slots,
};

/* poll() -> what reads connections when it is called; it is to be called while `fileno()` is readable
 *
 * `add(fd, received, left)`: each read of this connection is `received(data)`, until `remove(fd)`, or
 * until `left(None)` was called: it ended, or failed, and the rest is not read; `left(error)`:
 * `received` raised it. OSError: the system does not watch it, or the poll is closed. None: it cannot be had on this system. */
PyObject *native_poll(PyObject *module, PyObject *const *args, Py_ssize_t count) {
    Poll *poll;
    if (count != 0) Py_RETURN_NONE;
    poll = PyObject_GC_New(Poll, native_state(module)->poll);
    if (poll == NULL) return NULL;
    poll->call = poll_call;
    poll->adds = 0;
    poll->watched = NULL;
    poll->room = 0;
    poll->buffer = PyMem_Malloc(READ_BYTES);
    poll->epoll = poll->buffer != NULL ? epoll_create1(EPOLL_CLOEXEC) : -1;
    PyObject_GC_Track(poll);
    if (poll->epoll >= 0) return (PyObject *)poll;
    if (poll->buffer == NULL) PyErr_NoMemory();
    else PyErr_SetFromErrno(PyExc_OSError);
    Py_DECREF(poll);
    return NULL;
}

int native_poll_begin(PyObject *module) {
    NativeState *state = native_state(module);
    state->poll = (PyTypeObject *)PyType_FromModuleAndSpec(module, &poll_spec, NULL);
    return state->poll == NULL ? -1 : 0;
}

#else

PyObject *native_poll(PyObject *module, PyObject *const *args, Py_ssize_t count) { Py_RETURN_NONE; }

int native_poll_begin(PyObject *module) { return 0; }

#endif
