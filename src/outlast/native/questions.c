/* What a request is about: gateway/relay/lane.py, wire/splice.py, gateway/express.py (look). */

#include "native.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#define MODEL_LIMIT_BYTES 256

/* wire/anthropic/fitting.py: _TOUCHED; gateway/histories.py: _MARKS */
static const Words TOUCHED[] = {
    {"thinking", 8}, {"effort", 6}, {"temperature", 11}, {"top_p", 5}, {"top_k", 5}, {NULL, 0},
};
static const Words SEALED[] = {
    {"signature", 9}, {"redacted_thinking", 17}, {"fallback", 8}, {NULL, 0},
};

typedef struct {
    At model, model_end; /* the string with its quotes */
    int stream;
    int marked;
} Asked;

/* Whether a notice of ours may stand there (wire/notices.py). */
static int noticed(At at, At end) {
    static const char mark[] = "[Outlast";
    const Py_ssize_t size = sizeof mark - 1;
#if defined(__SSE2__)
    const __m128i first = _mm_set1_epi8(mark[0]), second = _mm_set1_epi8(mark[1]);
    while (end - at >= 32) {
        __m128i here = _mm_loadu_si128((const __m128i *)at);
        __m128i next = _mm_loadu_si128((const __m128i *)(at + 1));
        int mask = _mm_movemask_epi8(
            _mm_and_si128(_mm_cmpeq_epi8(here, first), _mm_cmpeq_epi8(next, second))
        );
        for (; mask; mask &= mask - 1) {
            At found = at + __builtin_ctz((unsigned)mask);
            if (end - found >= size && memcmp(found, mark, (size_t)size) == 0) return 1;
        }
        at += 16;
    }
#endif
    for (; end - at >= size; at++) {
        if (*at == '[' && memcmp(at, mark, (size_t)size) == 0) return 1;
    }
    return 0;
}

/* Read a body; 0 where Python must be asked. `anthropic`: which marks are looked for. */
static int asked(At at, At end, int anthropic, Asked *found) {
    Watch watch = {SEALED, TOUCHED, 0};
    Watch *watching = anthropic ? &watch : NULL;
    Member member;
    At from = at, until;
    int more, first = 1, streams = 0;
    memset(found, 0, sizeof *found);
    at = native_space(at, end);
    if (at >= end || *at != '{') return 0;
    member.at = at + 1;
    while ((more = native_member(&member, end, first, watching)) > 0) {
        first = 0;
        until = native_value(member.value, end, 1, watching);
        if (until == NULL) return 0;
        member.at = until;
        if (named(&member, "model")) {
            Py_ssize_t size = until - member.value - 2;
            if (found->model != NULL || *member.value != '"') return 0;
            if (size < 1 || size > MODEL_LIMIT_BYTES) return 0;
            if (memchr(member.value, '\\', (size_t)size + 1) != NULL) return 0;
            found->model = member.value;
            found->model_end = until;
        } else if (named(&member, "stream")) {
            if (streams++) return 0;
            if (said(member.value, until, "true")) found->stream = 1;
            else if (!said(member.value, until, "false") && !said(member.value, until, "null"))
                return 0;
        }
    }
    if (more < 0 || found->model == NULL || native_space(member.at, end) != end) return 0;
    found->marked = watch.seen || noticed(from, end);
    return 1;
}

static PyObject *model_of(const Asked *found) {
    return PyUnicode_DecodeUTF8(
        (const char *)found->model + 1, found->model_end - found->model - 2, NULL
    );
}

static PyObject *flag(int set) { return Py_NewRef(set ? Py_True : Py_False); }

/* skim(body, anthropic) -> (model, stream, marked, start, end) */
PyObject *native_skim(PyObject *module, PyObject *const *args, Py_ssize_t count) {
    Asked found;
    At from;
    if (count != 2 || !PyBytes_CheckExact(args[0])) Py_RETURN_NONE;
    from = (At)PyBytes_AS_STRING(args[0]);
    if (!asked(from, from + PyBytes_GET_SIZE(args[0]), args[1] == Py_True, &found)) Py_RETURN_NONE;
    return Py_BuildValue(
        "NNNnn", model_of(&found), flag(found.stream), flag(found.marked),
        (Py_ssize_t)(found.model - from), (Py_ssize_t)(found.model_end - from)
    );
}

/* ask(data, before, after, anthropic) -> (model, stream, marked, start, end, body)
 *
 * What one read brought is the head that stands in `before` and `after`, the length of a body
 * between them, and that body; the places are the body's. */
PyObject *native_ask(PyObject *module, PyObject *const *args, Py_ssize_t count) {
    Py_ssize_t before, after, size = 0;
    Asked found;
    At data, at, end, mark;
    PyObject *body;
    if (count != 4) Py_RETURN_NONE;
    for (int i = 0; i < 3; i++) {
        if (!PyBytes_CheckExact(args[i])) Py_RETURN_NONE;
    }
    data = (At)PyBytes_AS_STRING(args[0]);
    end = data + PyBytes_GET_SIZE(args[0]);
    before = PyBytes_GET_SIZE(args[1]);
    after = PyBytes_GET_SIZE(args[2]);
    if (end - data < before + after + 1) Py_RETURN_NONE;
    if (memcmp(data, PyBytes_AS_STRING(args[1]), (size_t)before) != 0) Py_RETURN_NONE;
    mark = at = data + before;
    while (at < end && *at >= '0' && *at <= '9' && at - mark < 9) size = size * 10 + (*at++ - '0');
    if (at == mark || end - at < after) Py_RETURN_NONE;
    if (memcmp(at, PyBytes_AS_STRING(args[2]), (size_t)after) != 0) Py_RETURN_NONE;
    at += after;
    if (size == 0 || end - at != size) Py_RETURN_NONE;
    if (!asked(at, end, args[3] == Py_True, &found)) Py_RETURN_NONE;
    body = PyBytes_FromStringAndSize((const char *)at, size);
    if (body == NULL) return NULL;
    return Py_BuildValue(
        "NNNnnN", model_of(&found), flag(found.stream), flag(found.marked),
        (Py_ssize_t)(found.model - at), (Py_ssize_t)(found.model_end - at), body
    );
}
