/* Heads of answers, and whole answers as clients get them: gateway/relay/connection.py, heads.py. */

#include "native.h"

#define HEAD_LIMIT_BYTES 8192
#define HEADERS_MAX 64
#define NAME_LIMIT_BYTES 64

/* Characters of a header's name (RFC 9110, 5.6.2), in lower case; 0: none. */
static unsigned char name_char(unsigned char c) {
    if (c >= 'A' && c <= 'Z') return c | 0x20;
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) return c;
    return c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL ? c : 0;
}

static int is(const char *name, Py_ssize_t size, const char *other) {
    return size == (Py_ssize_t)strlen(other) && memcmp(name, other, (size_t)size) == 0;
}

/* Whether these are the words, in either case. */
static int same(At from, At until, const char *words) {
    Py_ssize_t size = (Py_ssize_t)strlen(words);
    if (until - from != size) return 0;
    for (Py_ssize_t i = 0; i < size; i++) {
        unsigned char c = from[i];
        if (c >= 'A' && c <= 'Z') c |= 0x20;
        if (c != (unsigned char)words[i]) return 0;
    }
    return 1;
}

typedef struct {
    PyObject *line; /* how it begins for the client; owned */
    Span value;
} Passed;

typedef struct {
    Passed passed[HEADERS_MAX];
    int count;
    Py_ssize_t bytes; /* of all lines */
    Py_ssize_t size; /* of the body; -1: not told yet */
    int streams; /* whether events in chunks are what is wanted */
    int chunked, events; /* whether that was said */
    PyObject *lines, *miss;
} Head;

/* Return a new reference to how a header's line begins; empty where clients do not see it. */
static PyObject *line_of(Head *head, At from, Py_ssize_t size) {
    PyObject *name = PyBytes_FromStringAndSize((const char *)from, size), *line;
    if (name == NULL) return NULL;
    line = PyDict_GetItemWithError(head->lines, name);
    if (line != NULL) {
        Py_INCREF(line);
    } else if (!PyErr_Occurred()) {
        line = PyObject_CallOneArg(head->miss, name);
    }
    Py_DECREF(name);
    if (line != NULL && !PyBytes_CheckExact(line)) {
        Py_DECREF(line);
        PyErr_SetString(PyExc_TypeError, "a header's line is bytes");
        return NULL;
    }
    return line;
}

/* Take one header in; 0: Python must be asked; -1: an exception. */
static int header(Head *head, At from, Py_ssize_t size, Span value) {
    char name[NAME_LIMIT_BYTES];
    PyObject *line;
    if (size < 1 || size > NAME_LIMIT_BYTES) return 0;
    for (Py_ssize_t i = 0; i < size; i++) {
        if ((name[i] = (char)name_char(from[i])) == 0) return 0;
    }
    if (is(name, size, "content-length")) {
        Py_ssize_t told = 0;
        if (head->streams || head->size >= 0 || value.until - value.from > 9) return 0;
        for (At at = value.from; at < value.until; at++) {
            if (*at < '0' || *at > '9') return 0;
            told = told * 10 + (*at - '0');
        }
        head->size = told;
    } else if (is(name, size, "connection")) {
        if (!same(value.from, value.until, "keep-alive")) return 0;
    } else if (head->streams && is(name, size, "transfer-encoding")) {
        if (head->chunked++ || !same(value.from, value.until, "chunked")) return 0;
    } else if (head->streams && is(name, size, "content-type")) {
        At until = memchr(value.from, ';', (size_t)(value.until - value.from));
        if (until == NULL) until = value.until;
        while (until > value.from && until[-1] == ' ') until--;
        if (head->events++ || !same(value.from, until, "text/event-stream")) return 0;
    } else if (
        is(name, size, "transfer-encoding") || is(name, size, "upgrade") ||
        is(name, size, "trailer") || is(name, size, "proxy-connection")
    ) {
        return 0;
    }
    line = line_of(head, from, size);
    if (line == NULL) return -1;
    for (int i = 0; i < head->count && PyBytes_GET_SIZE(line) > 0; i++) {
        PyObject *other = head->passed[i].line;
        if (PyBytes_GET_SIZE(other) == PyBytes_GET_SIZE(line) &&
            !memcmp(PyBytes_AS_STRING(other), PyBytes_AS_STRING(line), (size_t)PyBytes_GET_SIZE(line))) {
            Py_DECREF(line);
            return 0;
        }
    }
    if (PyBytes_GET_SIZE(line) == 0 || head->count == HEADERS_MAX) {
        int room = PyBytes_GET_SIZE(line) == 0;
        Py_DECREF(line);
        return room;
    }
    head->bytes += PyBytes_GET_SIZE(line) + (value.until - value.from) + 2;
    head->passed[head->count].line = line;
    head->passed[head->count++].value = value;
    return 1;
}

/* Read the head of a 200; return where the body begins, NULL where Python must be asked. */
static At answer_head(Head *head, At at, At end) {
    static const char first[] = "HTTP/1.1 200 ";
    At limit = end - at > HEAD_LIMIT_BYTES ? at + HEAD_LIMIT_BYTES : end;
    int headers = 0, took;
    if (end - at < (Py_ssize_t)sizeof first || memcmp(at, first, sizeof first - 1)) return NULL;
    at += sizeof first - 1;
    while (at < limit && ((*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') || *at == ' ')) at++;
    for (;;) {
        At name, colon;
        Span value;
        if (limit - at < 4 || at[0] != '\r' || at[1] != '\n') return NULL;
        at += 2;
        if (at[0] == '\r') return at[1] == '\n' ? at + 2 : NULL;
        name = at;
        while (at < limit && *at != ':' && *at > ' ') at++;
        if (at >= limit || *at != ':' || ++headers > HEADERS_MAX) return NULL;
        colon = at++;
        while (at < limit && *at == ' ') at++;
        value.from = at;
        while (at < limit && *at >= ' ' && *at < 0x7F) at++;
        value.until = at;
        if (value.from == value.until || at[-1] == ' ') return NULL;
        took = header(head, name, colon - name, value);
        if (took <= 0) return NULL;
    }
}

static PyObject *written(const Head *head) {
    PyObject *out = PyBytes_FromStringAndSize(NULL, head->bytes);
    char *to;
    if (out == NULL) return NULL;
    to = PyBytes_AS_STRING(out);
    for (int i = 0; i < head->count; i++) {
        const Passed *one = &head->passed[i];
        Py_ssize_t size = one->value.until - one->value.from;
        memcpy(to, PyBytes_AS_STRING(one->line), (size_t)PyBytes_GET_SIZE(one->line));
        to += PyBytes_GET_SIZE(one->line);
        memcpy(to, one->value.from, (size_t)size);
        to += size;
        *to++ = '\r';
        *to++ = '\n';
    }
    return out;
}

static PyObject *their_id(const Head *head) {
    static const char *const names[] = {"request-id: ", "x-request-id: "};
    for (int n = 0; n < 2; n++) {
        for (int i = 0; i < head->count; i++) {
            const Passed *one = &head->passed[i];
            if (!strcmp(PyBytes_AS_STRING(one->line), names[n])) {
                return PyUnicode_DecodeASCII(
                    (const char *)one->value.from, one->value.until - one->value.from, NULL
                );
            }
        }
    }
    return PyUnicode_FromStringAndSize("", 0);
}

/* answer(data, lines, miss) -> (lines, their id, body)
 *
 * A whole answer, 200, of a counted body that ends where the data does. `lines`: how the header of
 * this name begins for the client, `miss(name)` says it where it is not there. */
PyObject *native_answer(PyObject *module, PyObject *const *args, Py_ssize_t count) {
    Head head = {.size = -1};
    At at, end;
    PyObject *found = NULL;
    if (count != 3 || !PyBytes_CheckExact(args[0]) || !PyDict_CheckExact(args[1])) Py_RETURN_NONE;
    head.lines = args[1];
    head.miss = args[2];
    at = (At)PyBytes_AS_STRING(args[0]);
    end = at + PyBytes_GET_SIZE(args[0]);
    at = answer_head(&head, at, end);
    if (at != NULL && head.size > 0 && end - at == head.size) {
        found = Py_BuildValue(
            "NNN", written(&head), their_id(&head),
            PyBytes_FromStringAndSize((const char *)at, head.size)
        );
    } else if (!PyErr_Occurred()) {
        found = Py_NewRef(Py_None);
    }
    for (int i = 0; i < head.count; i++) Py_DECREF(head.passed[i].line);
    return found;
}

/* reply(usual, lines, ident, who, body) -> bytes
 *
 * A whole answer as a client gets it (gateway/relay/heads.py: written). */
PyObject *native_reply(PyObject *module, PyObject *const *args, Py_ssize_t count) {
    static const char first[] = "HTTP/1.1 200 OK\r\n", id[] = "outlast-request-id: ";
    static const char receipt[] = "\r\noutlast-receipt: /v1/receipts/";
    static const char attempts[] = "\r\noutlast-attempts: 1\r\n";
    static const char rest[] = "content-type: application/json\r\ncontent-length: ";
    struct {
        const char *at;
        Py_ssize_t size;
    } pieces[12], *piece = pieces;
    char length[24];
    const char *ident;
    Py_ssize_t ident_size, size = 0;
    PyObject *out;
    char *to;
    if (count != 5) Py_RETURN_NONE;
    for (int i = 0; i < 5; i++) {
        if (i != 2 && !PyBytes_CheckExact(args[i])) Py_RETURN_NONE;
    }
    if (!PyUnicode_CheckExact(args[2])) Py_RETURN_NONE;
    ident = PyUnicode_AsUTF8AndSize(args[2], &ident_size);
    if (ident == NULL) return NULL;
    snprintf(length, sizeof length, "%zd\r\n\r\n", PyBytes_GET_SIZE(args[4]));
#define ADD(from, bytes) (piece->at = (from), piece->size = (bytes), piece++)
    ADD(first, sizeof first - 1);
    ADD(PyBytes_AS_STRING(args[0]), PyBytes_GET_SIZE(args[0]));
    ADD(PyBytes_AS_STRING(args[1]), PyBytes_GET_SIZE(args[1]));
    ADD(id, sizeof id - 1);
    ADD(ident, ident_size);
    ADD(receipt, sizeof receipt - 1);
    ADD(ident, ident_size);
    ADD(attempts, sizeof attempts - 1);
    ADD(PyBytes_AS_STRING(args[3]), PyBytes_GET_SIZE(args[3]));
    ADD(rest, sizeof rest - 1);
    ADD(length, (Py_ssize_t)strlen(length));
    ADD(PyBytes_AS_STRING(args[4]), PyBytes_GET_SIZE(args[4]));
#undef ADD
    for (int i = 0; i < 12; i++) size += pieces[i].size;
    out = PyBytes_FromStringAndSize(NULL, size);
    if (out == NULL) return NULL;
    to = PyBytes_AS_STRING(out);
    for (int i = 0; i < 12; i++) {
        memcpy(to, pieces[i].at, (size_t)pieces[i].size);
        to += pieces[i].size;
    }
    return out;
}

/* streamed(data, lines, miss) -> (lines, their id, body)
 *
 * As `answer`, of events in chunks. The body: bytes, where the last chunk ends where the data does; else
 * a number, where it begins. */
PyObject *native_streamed(PyObject *module, PyObject *const *args, Py_ssize_t count) {
    static const char last[] = "0\r\n\r\n";
    Head head = {.size = -1, .streams = 1};
    At from, at, end, next;
    Py_ssize_t size, total = 0;
    PyObject *found = NULL;
    if (count != 3 || !PyBytes_CheckExact(args[0]) || !PyDict_CheckExact(args[1])) Py_RETURN_NONE;
    at = (At)PyBytes_AS_STRING(args[0]);
    end = at + PyBytes_GET_SIZE(args[0]);
    head.lines = args[1];
    head.miss = args[2];
    from = at = answer_head(&head, at, end);
    if (at != NULL && head.chunked && head.events) {
        while (native_chunk(at, end, &size, &next) != NULL) {
            total += size;
            at = next;
        }
        if (total > 0 && end - at == 5 && memcmp(at, last, 5) == 0) {
            found = Py_BuildValue(
                "NNN", written(&head), their_id(&head), native_payload(from, at, total)
            );
        } else {
            At begin = (At)PyBytes_AS_STRING(args[0]);
            found = Py_BuildValue("NNn", written(&head), their_id(&head), (Py_ssize_t)(from - begin));
        }
    }
    if (found == NULL && !PyErr_Occurred()) found = Py_NewRef(Py_None);
    for (int i = 0; i < head.count; i++) Py_DECREF(head.passed[i].line);
    return found;
}
