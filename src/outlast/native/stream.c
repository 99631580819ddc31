/* What the reads of a stream bring: chunks (gateway/relay/connection.py), and in them frames that only
 * say the next piece of a text (gateway/skimming.py, gateway/flow.py). */

#include "native.h"

#include <math.h>
#include <stdio.h>

#define SIZE_DIGITS_MAX 7
#define FRAMES_MAX 1024
#define HELD_LIMIT_BYTES (64 << 10)

/* -- chunks --------------------------------------------------------------------------------- */

/* Read the line that says how long a chunk is. Returns where its bytes begin; NULL: the line is not
 * whole, or anything but digits, or says 0. */
static At chunk_line(At at, At end, Py_ssize_t *size) {
    At from = at;
    Py_ssize_t told = 0;
    for (; at < end && at - from < SIZE_DIGITS_MAX; at++) {
        unsigned char digit = *at, small = digit | 0x20;
        if (digit >= '0' && digit <= '9') told = told * 16 + (digit - '0');
        else if (small >= 'a' && small <= 'f') told = told * 16 + (small - 'a' + 10);
        else break;
    }
    *size = told;
    if (told == 0 || end - at < 2 || at[0] != '\r' || at[1] != '\n') return NULL;
    return at + 2;
}

At native_chunk(At at, At end, Py_ssize_t *size, At *next) {
    at = chunk_line(at, end, size);
    if (at == NULL || end - at < *size + 2) return NULL;
    if (at[*size] != '\r' || at[*size + 1] != '\n') return NULL;
    *next = at + *size + 2;
    return at;
}

PyObject *native_payload(At at, At end, Py_ssize_t total) {
    PyObject *payload = PyBytes_FromStringAndSize(NULL, total);
    Py_ssize_t size;
    At next;
    char *to;
    if (payload == NULL) return NULL;
    to = PyBytes_AS_STRING(payload);
    for (; at < end; at = next) {
        At from = native_chunk(at, end, &size, &next);
        if (from == NULL) break;
        memcpy(to, from, (size_t)size);
        to += size;
    }
    return payload;
}

/* chunks(data, start) -> (payload, end, missing)
 *
 * The whole chunks from `start` on, which is where one begins; `end`: behind them. `missing`: how
 * many bytes the next one lacks that has begun there; -1: that is not known, or it is none. */
PyObject *native_chunks(PyObject *module, PyObject *const *args, Py_ssize_t count) {
    At data, at, from, end, next;
    Py_ssize_t start, size, total = 0, missing = 0;
    PyObject *payload;
    if (count != 2 || !PyBytes_CheckExact(args[0])) Py_RETURN_NONE;
    start = PyLong_AsSsize_t(args[1]);
    if (start == -1 && PyErr_Occurred()) return NULL;
    data = (At)PyBytes_AS_STRING(args[0]);
    end = data + PyBytes_GET_SIZE(args[0]);
    if (start < 0 || start > end - data) Py_RETURN_NONE;
    at = data + start;
    while (native_chunk(at, end, &size, &next) != NULL) {
        total += size;
        at = next;
    }
    if (at < end) {
        from = chunk_line(at, end, &size);
        missing = from == NULL ? -1 : size + 2 - (end - from);
        if (missing < 1) missing = -1;
    }
    payload = native_payload(data + start, at, total);
    if (payload == NULL) return NULL;
    return Py_BuildValue("Nnn", payload, (Py_ssize_t)(at - data), missing);
}

/* -- words ---------------------------------------------------------------------------------- */

/* skimming.py: joined */
static int joined(Py_UCS4 c) {
    if (c < 0x80) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '_' || c == '\'' || c == '[' || c == '-';
    }
    if ((c >= 0x2E80 && c <= 0xA4CF) || (c >= 0xAC00 && c <= 0xD7AF)) return 0;
    return c == 0x200D || c == 0xFE0F || c == 0x2019 || c >= 0x1F000 || Py_UNICODE_ISALNUM(c);
}

static Py_UCS4 four(At at) {
    Py_UCS4 told = 0;
    for (int i = 0; i < 4; i++) {
        unsigned char digit = at[i];
        told = told << 4 | (digit <= '9' ? digit - '0' : (digit | 0x20) - 'a' + 10);
    }
    return told;
}

/* Return the character that stands there in a string that was read before; `size`: its bytes. An
 * escape of one letter is nothing that words are made of, and told as 0. */
static Py_UCS4 character(At at, Py_ssize_t *size) {
    unsigned char first = at[0];
    if (first == '\\') {
        Py_UCS4 told;
        *size = 2;
        if (at[1] != 'u') return 0;
        *size = 6;
        told = four(at + 2);
        if (told < 0xD800 || told > 0xDBFF) return told;
        *size = 12;
        return 0x10000 + ((told - 0xD800) << 10) + (four(at + 8) - 0xDC00);
    }
    if (first < 0x80) {
        *size = 1;
        return first;
    }
    if (first < 0xE0) {
        *size = 2;
        return (Py_UCS4)(first & 0x1F) << 6 | (at[1] & 0x3F);
    }
    if (first < 0xF0) {
        *size = 3;
        return (Py_UCS4)(first & 0x0F) << 12 | (Py_UCS4)(at[1] & 0x3F) << 6 | (at[2] & 0x3F);
    }
    *size = 4;
    return (Py_UCS4)(first & 0x07) << 18 | (Py_UCS4)(at[1] & 0x3F) << 12 |
           (Py_UCS4)(at[2] & 0x3F) << 6 | (at[3] & 0x3F);
}

static int begins_joined(Span inside) {
    Py_ssize_t size;
    return joined(character(inside.from, &size));
}

static int ends_joined(Span inside, int escaped) {
    At at = inside.until - 1;
    Py_ssize_t size = 0;
    if (escaped) {
        for (at = inside.from; at < inside.until; at += size) character(at, &size);
        at -= size;
    } else {
        while ((*at & 0xC0) == 0x80) at--;
    }
    return joined(character(at, &size));
}

/* -- frames --------------------------------------------------------------------------------- */

typedef struct {
    Span inside; /* the text, as it stands in its JSON string */
    int first, last; /* whether the text begins, and ends, inside a word */
} Piece;

int native_shape(NativeShape *shape, PyObject *before, PyObject *after, PyObject *words) {
    if (!PyBytes_CheckExact(before) || !PyBytes_CheckExact(after)) return 0;
    shape->before = (At)PyBytes_AS_STRING(before);
    shape->before_bytes = PyBytes_GET_SIZE(before);
    shape->after = (At)PyBytes_AS_STRING(after);
    shape->after_bytes = PyBytes_GET_SIZE(after);
    shape->words = words == Py_True;
    /* The string's own quotes are their last and their first byte. */
    return shape->before_bytes > 0 && shape->after_bytes > 0 && shape->after[0] == '"';
}

static int begins(const NativeShape *shape, At at, At end) {
    return end - at >= shape->before_bytes &&
           memcmp(at, shape->before, (size_t)shape->before_bytes) == 0;
}

/* Step over a frame of this shape; NULL where there is none. */
static At frame(const NativeShape *shape, At at, At end, Piece *piece) {
    int escaped;
    if (!begins(shape, at, end)) return NULL;
    piece->inside.from = at + shape->before_bytes;
    at = native_string(piece->inside.from, end, &escaped);
    if (at == NULL || at - 1 == piece->inside.from) return NULL;
    piece->inside.until = --at;
    if (end - at < shape->after_bytes) return NULL;
    if (memcmp(at, shape->after, (size_t)shape->after_bytes) != 0) return NULL;
    piece->first = piece->last = 0;
    if (shape->words) {
        piece->first = begins_joined(piece->inside);
        piece->last = ends_joined(piece->inside, escaped);
    }
    return at + shape->after_bytes;
}

/* Whether what stands behind a text is there; `joint`: and what stands before the next, behind it. */
static int contains(const NativeShape *shape, At at, At end, int joint) {
    for (; end - at >= shape->after_bytes; at++) {
        at = memchr(at, shape->after[0], (size_t)(end - at - shape->after_bytes + 1));
        if (at == NULL) return 0;
        if (memcmp(at, shape->after, (size_t)shape->after_bytes) != 0) continue;
        if (!joint || begins(shape, at + shape->after_bytes, end)) return 1;
    }
    return 0;
}

/* Return how many of these pieces may go out, with what waits; -1: not even that. */
static Py_ssize_t told(const Piece *pieces, Py_ssize_t count, int waiting, int words) {
    Py_ssize_t out = count;
    if (words && pieces[count - 1].last) {
        out--;
        while (out && pieces[out - 1].last && pieces[out].first) out--;
        if (!out && waiting && pieces[0].first) return -1;
    }
    return out;
}

/* Return the insides of the pieces, with `","` between them. */
static PyObject *insides(const Piece *pieces, Py_ssize_t count) {
    Py_ssize_t size = 3 * (count - 1);
    PyObject *said;
    char *to;
    for (Py_ssize_t i = 0; i < count; i++) size += pieces[i].inside.until - pieces[i].inside.from;
    said = PyBytes_FromStringAndSize(NULL, size);
    if (said == NULL) return NULL;
    to = PyBytes_AS_STRING(said);
    for (Py_ssize_t i = 0; i < count; i++) {
        Py_ssize_t bytes = pieces[i].inside.until - pieces[i].inside.from;
        if (i) {
            memcpy(to, "\",\"", 3);
            to += 3;
        }
        memcpy(to, pieces[i].inside.from, (size_t)bytes);
        to += bytes;
    }
    return said;
}

/* pieces(data, before, after, waiting, words) -> (said, end, told)
 *
 * The whole frames of this shape at the head of `data`, up to `end`; of them, up to `told`, may go
 * out what ends no word that may go on, and what is `waiting` before it; -1: not even that. */
PyObject *native_pieces(PyObject *module, PyObject *const *args, Py_ssize_t count) {
    NativeShape shape;
    Piece pieces[FRAMES_MAX];
    At data, at, end, next;
    Py_ssize_t found = 0, out, place;
    PyObject *said;
    if (count != 5 || !PyBytes_CheckExact(args[0])) Py_RETURN_NONE;
    if (!native_shape(&shape, args[1], args[2], args[4])) Py_RETURN_NONE;
    at = data = (At)PyBytes_AS_STRING(args[0]);
    end = data + PyBytes_GET_SIZE(args[0]);
    while (found < FRAMES_MAX && (next = frame(&shape, at, end, &pieces[found])) != NULL) {
        at = next;
        found++;
    }
    if (found == 0 || found == FRAMES_MAX) Py_RETURN_NONE;
    /* Python takes all of them or none: there must be no more that looks like them. */
    if (begins(&shape, at, end) && contains(&shape, at, end, 0)) Py_RETURN_NONE;
    if (contains(&shape, at, end, 1)) Py_RETURN_NONE;
    out = told(pieces, found, args[3] == Py_True, shape.words);
    place = out < 0 ? -1 : at - data;
    if (out >= 0 && out < found) place = pieces[out].inside.from - shape.before_bytes - data;
    said = insides(pieces, found);
    if (said == NULL) return NULL;
    return Py_BuildValue("Nnn", said, (Py_ssize_t)(at - data), place);
}

#define TOGETHER_MAX 64

/* Return one chunk of what waits and these frames; `keep`: instead, these bytes as they are. */
static PyObject *together(PyObject *held, const NativeShape *shape, const Piece *pieces, Py_ssize_t count, int chunked) {
    char line[24];
    Py_ssize_t size = held == NULL ? 0 : PyBytes_GET_SIZE(held), lead = 0;
    PyObject *out;
    char *to;
    for (Py_ssize_t i = 0; i < count; i++) {
        size += shape->before_bytes + (pieces[i].inside.until - pieces[i].inside.from) + shape->after_bytes;
    }
    if (size == 0) return PyBytes_FromStringAndSize(NULL, 0);
    if (chunked) lead = snprintf(line, sizeof line, "%zx\r\n", (size_t)size);
    out = PyBytes_FromStringAndSize(NULL, lead + size + (chunked ? 2 : 0));
    if (out == NULL) return NULL;
    to = PyBytes_AS_STRING(out);
    memcpy(to, line, (size_t)lead);
    to += lead;
    if (held != NULL) {
        memcpy(to, PyBytes_AS_STRING(held), (size_t)PyBytes_GET_SIZE(held));
        to += PyBytes_GET_SIZE(held);
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        Py_ssize_t bytes = shape->before_bytes + (pieces[i].inside.until - pieces[i].inside.from) +
                           shape->after_bytes;
        memcpy(to, pieces[i].inside.from - shape->before_bytes, (size_t)bytes);
        to += bytes;
    }
    if (chunked) memcpy(to, "\r\n", 2);
    return out;
}

/* Whether a chunk's line is as we would write it. */
static int ours(At at) {
    if (*at == '0') return 0;
    for (; *at != '\r'; at++) {
        if (*at >= 'A' && *at <= 'F') return 0;
    }
    return 1;
}

int native_pass(PyObject *read, const NativeShape *shape, PyObject *held, NativePassed *passed) {
    Piece pieces[TOGETHER_MAX];
    At data = (At)PyBytes_AS_STRING(read), end = data + PyBytes_GET_SIZE(read), at, from, next;
    Py_ssize_t found = 0, chunks = 0, size, out;
    if (end - data + PyBytes_GET_SIZE(held) > HELD_LIMIT_BYTES) return 0;
    for (at = data; at < end; at = next) {
        from = native_chunk(at, end, &size, &next);
        if (from == NULL) return 0;
        while (from < next - 2) {
            if (found == TOGETHER_MAX) return 0;
            from = frame(shape, from, next - 2, &pieces[found]);
            if (from == NULL) return 0;
            found++;
        }
        chunks++;
    }
    if (found == 0) return 0;
    out = told(pieces, found, PyBytes_GET_SIZE(held) > 0, shape->words);
    passed->said = insides(pieces, found);
    if (out == found && PyBytes_GET_SIZE(held) == 0 && chunks == 1 && ours(data)) {
        passed->out = Py_NewRef(read);
    } else {
        passed->out = out < 0 ? PyBytes_FromStringAndSize(NULL, 0)
                              : together(held, shape, pieces, out, 1);
    }
    passed->held = out < 0 ? together(held, shape, pieces, found, 0)
                           : together(NULL, shape, pieces + out, found - out, 0);
    if (passed->said != NULL && passed->out != NULL && passed->held != NULL) return 1;
    Py_CLEAR(passed->said);
    Py_CLEAR(passed->out);
    Py_CLEAR(passed->held);
    return -1;
}

/* weigh(said) -> (letters, digits, spaces, lines, signs)
 *
 * How many characters of each class (wire/estimate.py) these pieces have, told as `pieces` tells
 * them; None where one of them is not ASCII. */
PyObject *native_weigh(PyObject *module, PyObject *const *args, Py_ssize_t count) {
    Py_ssize_t letters = 0, digits = 0, spaces = 0, lines = 0, signs, quotes = 0, slashes = 0;
    unsigned char high = 0;
    At at, end;
    if (count != 1 || !PyBytes_CheckExact(args[0])) Py_RETURN_NONE;
    at = (At)PyBytes_AS_STRING(args[0]);
    end = at + PyBytes_GET_SIZE(args[0]);
    signs = end - at;
    for (At one = at; one < end; one++) { /* a loop without branches: many bytes at once */
        letters += (unsigned char)((*one | 0x20) - 'a') < 26;
        digits += (unsigned char)(*one - '0') < 10;
        spaces += *one == ' ';
        quotes += *one == '"';
        slashes += *one == '\\';
        high |= *one;
    }
    if (high >= 0x80) Py_RETURN_NONE;
    signs -= letters + digits + spaces + quotes + slashes;
    while (slashes > 0 && at < end && (at = memchr(at, '\\', (size_t)(end - at))) != NULL) {
        unsigned char c = end - at > 1 ? at[1] : 'u';
        if (c == 'u') Py_RETURN_NONE;
        if (c == 'n' || c == 't' || c == 'r' || c == 'f' || c == 'b') letters--;
        if (c == 'n') lines++;
        else if (c == 't' || c == 'r' || c == 'f') spaces++;
        else if (c != '/') signs++; /* which was counted as one */
        if (c == '"') quotes--;
        at += 2;
    }
    signs -= quotes / 2; /* `","` between two pieces: its comma */
    return Py_BuildValue("nnnnn", letters, digits, spaces, lines, signs);
}

/* learn(since, times, samples, mean, variance) -> (samples, mean, variance)
 *
 * gateway/gaps.py: learn, with its numbers. `times`: an array of doubles. */
PyObject *native_learn(PyObject *module, PyObject *const *args, Py_ssize_t count) {
    static const double fade = 0.02, least_s = 0.001;
    Py_buffer view;
    double since, mean, variance;
    long long samples;
    const double *times;
    if (count != 5) Py_RETURN_NONE;
    since = PyFloat_AsDouble(args[0]);
    samples = PyLong_AsLongLong(args[2]);
    mean = PyFloat_AsDouble(args[3]);
    variance = PyFloat_AsDouble(args[4]);
    if (PyErr_Occurred()) return NULL;
    if (PyObject_GetBuffer(args[1], &view, PyBUF_FORMAT | PyBUF_C_CONTIGUOUS) < 0) return NULL;
    if (view.format == NULL || strcmp(view.format, "d") != 0) {
        PyBuffer_Release(&view);
        Py_RETURN_NONE;
    }
    times = view.buf;
    for (Py_ssize_t i = 0; i < view.len / (Py_ssize_t)sizeof *times; i++) {
        double gap_s = times[i] - since, weight, delta;
        since = times[i];
        samples++;
        weight = (double)samples >= 1 / fade ? fade : 1 / (double)samples;
        delta = log(gap_s > least_s ? gap_s : least_s) - mean;
        mean += weight * delta;
        variance = (1 - weight) * (variance + weight * delta * delta);
    }
    PyBuffer_Release(&view);
    return Py_BuildValue("Ldd", samples, mean, variance);
}
