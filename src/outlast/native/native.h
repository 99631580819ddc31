/* What the files of this folder share. See __init__.py. */

#ifndef OUTLAST_NATIVE_H
#define OUTLAST_NATIVE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <string.h>

/* Each is called as METH_FASTCALL, and returns None where the Python must be asked. */
PyObject *native_ask(PyObject *module, PyObject *const *args, Py_ssize_t count);
PyObject *native_skim(PyObject *module, PyObject *const *args, Py_ssize_t count);
PyObject *native_answer(PyObject *module, PyObject *const *args, Py_ssize_t count);
PyObject *native_question(PyObject *module, PyObject *const *args, Py_ssize_t count);
PyObject *native_message(PyObject *module, PyObject *const *args, Py_ssize_t count);
PyObject *native_carried(PyObject *module, PyObject *const *args, Py_ssize_t count);
PyObject *native_reply(PyObject *module, PyObject *const *args, Py_ssize_t count);
PyObject *native_receipt(PyObject *module, PyObject *const *args, Py_ssize_t count);
PyObject *native_frames(PyObject *module, PyObject *const *args, Py_ssize_t count);
void native_record_begin(void);
PyObject *native_completion(PyObject *module, PyObject *const *args, Py_ssize_t count);
PyObject *native_streamed(PyObject *module, PyObject *const *args, Py_ssize_t count);
PyObject *native_chunks(PyObject *module, PyObject *const *args, Py_ssize_t count);
PyObject *native_pieces(PyObject *module, PyObject *const *args, Py_ssize_t count);
PyObject *native_weigh(PyObject *module, PyObject *const *args, Py_ssize_t count);
PyObject *native_tap(PyObject *module, PyObject *const *args, Py_ssize_t count);
PyObject *native_reads(PyObject *module, PyObject *const *args, Py_ssize_t count);
PyObject *native_poll(PyObject *module, PyObject *const *args, Py_ssize_t count);
PyObject *native_writer(PyObject *module, PyObject *const *args, Py_ssize_t count);
PyObject *native_arenas(PyObject *module, PyObject *const *args, Py_ssize_t count);
PyObject *native_learn(PyObject *module, PyObject *const *args, Py_ssize_t count);
PyObject *native_chat_begins(PyObject *module, PyObject *const *args, Py_ssize_t count);
PyObject *native_chat_ends(PyObject *module, PyObject *const *args, Py_ssize_t count);
PyObject *native_messages_begins(PyObject *module, PyObject *const *args, Py_ssize_t count);
PyObject *native_messages_ends(PyObject *module, PyObject *const *args, Py_ssize_t count);

/* json.c: a strict reader (RFC 8259), of complete values alone. A value's reader returns where it
 * ends, NULL where it is no JSON, ends too soon, or lies deeper than NATIVE_DEPTH_MAX. */
#define NATIVE_DEPTH_MAX 128

typedef const unsigned char *At;

/* Words that are looked for in strings, the last one NULL. */
typedef struct {
    const char *said;
    Py_ssize_t size;
} Words;

typedef struct {
    const Words *anywhere;
    const Words *keys; /* where they are keys alone */
    int seen;
} Watch;

At native_space(At at, At end);
At native_string(At at, At end, int *escaped);
At native_value(At at, At end, int depth, Watch *watch);

/* Steps over the members of an object, from behind its brace. */
typedef struct {
    At key;
    Py_ssize_t size; /* of the key */
    At value; /* where its value begins; the reader of the value sets `at` behind it */
    At at;
} Member;

/* 1: there is another, and its value begins at `value`; 0: the object ended at `at`; -1: no JSON,
 * or a key with an escape in it. `first`: whether none was read yet. */
int native_member(Member *member, At end, int first, Watch *watch);

/* Defines `object(found, at, read)`, which steps over the object that begins there: `read` is told
 * each member and returns where its value ends, NULL where that is not what was looked for. `Found`
 * has an `end`. */
#define NATIVE_OBJECT(Found)                                                       \
    typedef At (*Read)(Found *found, const Member *member);                        \
    static At object(Found *found, At at, Read read) {                             \
        Member member;                                                             \
        int more, first = 1;                                                       \
        if (at >= found->end || *at != '{') return NULL;                           \
        member.at = at + 1;                                                        \
        while ((more = native_member(&member, found->end, first, NULL)) > 0) {     \
            first = 0;                                                             \
            if (member.value >= found->end) return NULL;                           \
            member.at = read(found, &member);                                      \
            if (member.at == NULL) return NULL;                                    \
        }                                                                          \
        return more == 0 ? member.at : NULL;                                       \
    }

typedef struct {
    At from, until;
} Span;

static inline int named(const Member *member, const char *name) {
    return member->size == (Py_ssize_t)strlen(name) &&
           memcmp(member->key, name, (size_t)member->size) == 0;
}

static inline int said(At from, At until, const char *words) {
    Py_ssize_t size = (Py_ssize_t)strlen(words);
    return until - from == size && memcmp(from, words, (size_t)size) == 0;
}

/* stream.c: chunked coding. Return where the bytes of the chunk begin that is whole there, NULL: none
 * is; `next`: behind it. */
At native_chunk(At at, At end, Py_ssize_t *size, At *next);
/* Return the bytes of these whole chunks, `total` in all. */
PyObject *native_payload(At at, At end, Py_ssize_t total);

/* stream.c: frames that differ in one JSON string alone, whose quotes are the last byte of `before`
 * and the first of `after`. `words`: whether words are kept whole. */
typedef struct {
    At before, after;
    Py_ssize_t before_bytes, after_bytes;
    int words;
} NativeShape;

/* 0: these are none. The bytes must stay as long as the shape. */
int native_shape(NativeShape *shape, PyObject *before, PyObject *after, PyObject *words);

/* What a read of whole chunks, of whole frames of one shape, says; the chunk that goes out now, of
 * what was held before and of what ends no word that may go on; and what is held then. Bytes. */
typedef struct {
    PyObject *said, *out, *held;
} NativePassed;

/* 0: it is anything else; -1: an error. */
int native_pass(PyObject *read, const NativeShape *shape, PyObject *held, NativePassed *passed);

/* The module's own. */
typedef struct {
    PyTypeObject *tap, *reads; /* tap.c */
    PyObject *append;
    PyTypeObject *writer; /* write.c */
    PyTypeObject *poll; /* poll.c; NULL where there is none */
} NativeState;

static inline NativeState *native_state(PyObject *module) {
    return (NativeState *)PyModule_GetState(module);
}

int native_tap_begin(PyObject *module);
int native_poll_begin(PyObject *module);
int native_writer_begin(PyObject *module);

#endif
