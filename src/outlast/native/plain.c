/* What a plain request asks for, and what a plain answer says: gateway/relay/lane.py,
 * wire/splice.py, gateway/express.py. */

#include "native.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

static int named(const Member *member, const char *name) {
    return member->size == (Py_ssize_t)strlen(name) &&
           memcmp(member->key, name, (size_t)member->size) == 0;
}

static int said(At from, At until, const char *words) {
    Py_ssize_t size = (Py_ssize_t)strlen(words);
    return until - from == size && memcmp(from, words, (size_t)size) == 0;
}

/* -- requests ------------------------------------------------------------------------------- */

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

/* -- answers -------------------------------------------------------------------------------- */

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
    At from, until;
} Span;

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
 * As `answer`, of events in chunks, the last of which ends where the data does. */
PyObject *native_streamed(PyObject *module, PyObject *const *args, Py_ssize_t count) {
    static const char last[] = "0\r\n\r\n";
    Head head = {.size = -1, .streams = 1};
    At from, at, end, next;
    Py_ssize_t size, total = 0;
    PyObject *found = NULL;
    if (count != 3 || !PyBytes_CheckExact(args[0]) || !PyDict_CheckExact(args[1])) Py_RETURN_NONE;
    at = (At)PyBytes_AS_STRING(args[0]);
    end = at + PyBytes_GET_SIZE(args[0]);
    if (end - at < (Py_ssize_t)sizeof last || memcmp(end - 5, last, 5) != 0) Py_RETURN_NONE;
    head.lines = args[1];
    head.miss = args[2];
    from = at = answer_head(&head, at, end);
    if (at != NULL && head.chunked && head.events) {
        while (native_chunk(at, end, &size, &next) != NULL) {
            total += size;
            at = next;
        }
        if (total > 0 && end - at == 5) {
            found = Py_BuildValue(
                "NNN", written(&head), their_id(&head), native_payload(from, at, total)
            );
        }
    }
    if (found == NULL && !PyErr_Occurred()) found = Py_NewRef(Py_None);
    for (int i = 0; i < head.count; i++) Py_DECREF(head.passed[i].line);
    return found;
}

/* -- what a chat completion says ------------------------------------------------------------ */

enum { PROMPT, COMPLETION, HIT, CACHED, WRITTEN, THOUGHT, COUNTS };

typedef struct {
    At end;
    Span model;
    Py_ssize_t counts[COUNTS]; /* -1: not told */
    unsigned seen; /* a bit for each key that may stand there once */
} Completion;

enum {
    ID = 1, MODEL = 2, CHOICES = 4, USAGE = 8, CREATED = 16, ERROR_ = 32,
    INDEX = 64, MESSAGE = 128, FINISH = 256, DELTA = 512,
    CONTENT = 1024, REFUSAL = 2048, REASONING = 4096, REASONING_TOO = 8192, TOOLS = 16384,
    FUNCTION = 32768, AUDIO = 65536, PROMPT_MORE = 1 << 17, COMPLETION_MORE = 1 << 18,
};

static int once(Completion *found, unsigned bit) {
    int fresh = !(found->seen & bit);
    found->seen |= bit;
    return fresh;
}

static At any(Completion *found, At at) { return native_value(at, found->end, 4, NULL); }

static At null(Completion *found, At at) {
    At until = any(found, at);
    return until != NULL && said(at, until, "null") ? until : NULL;
}

static At null_or(Completion *found, At at, const char *other) {
    At until = any(found, at);
    return until != NULL && (said(at, until, "null") || said(at, until, other)) ? until : NULL;
}

static At text(Completion *found, At at) {
    return at < found->end && *at == '"' ? any(found, at) : NULL;
}

static At counted(Completion *found, At at, Py_ssize_t *to) {
    At from = at;
    Py_ssize_t told = 0;
    if (*to >= 0) return NULL;
    while (at < found->end && *at >= '0' && *at <= '9' && at - from < 12) {
        told = told * 10 + (*at++ - '0');
    }
    *to = told;
    return any(found, from) == at ? at : NULL;
}

/* Read the members of an object with `read`, which returns where a value ends. */
typedef At (*Read)(Completion *found, const Member *member);

static At object(Completion *found, At at, Read read) {
    Member member;
    int more, first = 1;
    if (at >= found->end || *at != '{') return NULL;
    member.at = at + 1;
    while ((more = native_member(&member, found->end, first, NULL)) > 0) {
        first = 0;
        if (member.value >= found->end) return NULL;
        member.at = read(found, &member);
        if (member.at == NULL) return NULL;
    }
    return more == 0 ? member.at : NULL;
}

static At read_prompt_more(Completion *found, const Member *member) {
    if (named(member, "cached_tokens")) return counted(found, member->value, &found->counts[CACHED]);
    if (named(member, "cache_write_tokens")) {
        return counted(found, member->value, &found->counts[WRITTEN]);
    }
    return any(found, member->value);
}

static At read_completion_more(Completion *found, const Member *member) {
    if (named(member, "reasoning_tokens")) {
        return counted(found, member->value, &found->counts[THOUGHT]);
    }
    return any(found, member->value);
}

static At details(Completion *found, const Member *member, unsigned bit, Read read) {
    if (!once(found, bit)) return NULL;
    return *member->value == '{' ? object(found, member->value, read) : null(found, member->value);
}

static At read_usage(Completion *found, const Member *member) {
    if (named(member, "prompt_tokens")) return counted(found, member->value, &found->counts[PROMPT]);
    if (named(member, "completion_tokens")) {
        return counted(found, member->value, &found->counts[COMPLETION]);
    }
    if (named(member, "prompt_cache_hit_tokens")) {
        return counted(found, member->value, &found->counts[HIT]);
    }
    if (named(member, "prompt_tokens_details")) {
        return details(found, member, PROMPT_MORE, read_prompt_more);
    }
    if (named(member, "completion_tokens_details")) {
        return details(found, member, COMPLETION_MORE, read_completion_more);
    }
    return any(found, member->value);
}

static At read_message(Completion *found, const Member *member) {
    At at = member->value, until;
    if (named(member, "content")) {
        until = once(found, CONTENT) ? text(found, at) : NULL;
        return until != NULL && until - at > 2 ? until : NULL;
    }
    if (named(member, "refusal")) return once(found, REFUSAL) ? null_or(found, at, "\"\"") : NULL;
    if (named(member, "reasoning_content")) {
        return once(found, REASONING) ? null_or(found, at, "\"\"") : NULL;
    }
    if (named(member, "reasoning")) {
        return once(found, REASONING_TOO) ? null_or(found, at, "\"\"") : NULL;
    }
    if (named(member, "tool_calls")) return once(found, TOOLS) ? null_or(found, at, "[]") : NULL;
    if (named(member, "function_call")) return once(found, FUNCTION) ? null(found, at) : NULL;
    if (named(member, "audio")) return once(found, AUDIO) ? null(found, at) : NULL;
    return any(found, at);
}

static At read_choice(Completion *found, const Member *member) {
    At at = member->value, until;
    if (named(member, "index")) {
        until = once(found, INDEX) ? any(found, at) : NULL;
        return until != NULL && said(at, until, "0") ? until : NULL;
    }
    if (named(member, "message")) {
        return once(found, MESSAGE) ? object(found, at, read_message) : NULL;
    }
    if (named(member, "finish_reason")) {
        until = once(found, FINISH) ? any(found, at) : NULL;
        return until != NULL && (said(at, until, "\"stop\"") || said(at, until, "\"length\""))
                   ? until
                   : NULL;
    }
    if (named(member, "delta")) return once(found, DELTA) ? null(found, at) : NULL;
    return any(found, at);
}

static At read_completion(Completion *found, const Member *member) {
    At at = member->value, until;
    Py_ssize_t created = -1;
    if (named(member, "id")) return once(found, ID) ? text(found, at) : NULL;
    if (named(member, "model")) {
        until = once(found, MODEL) ? text(found, at) : NULL;
        if (until == NULL || memchr(at, '\\', (size_t)(until - at)) != NULL) return NULL;
        found->model = (Span){at + 1, until - 1};
        return until;
    }
    if (named(member, "choices")) {
        if (!once(found, CHOICES) || *at != '[') return NULL;
        at = native_space(at + 1, found->end);
        at = object(found, at, read_choice);
        if (at == NULL) return NULL;
        at = native_space(at, found->end);
        return at < found->end && *at == ']' ? at + 1 : NULL;
    }
    if (named(member, "usage")) return once(found, USAGE) ? object(found, at, read_usage) : NULL;
    if (named(member, "created")) {
        if (!once(found, CREATED)) return NULL;
        return *at == 'n' ? null(found, at) : counted(found, at, &created);
    }
    if (named(member, "error")) return once(found, ERROR_) ? null(found, at) : NULL;
    return any(found, at);
}

/* completion(body) -> (model, (input, output, cache read, cache write, reasoning))
 *
 * An answer of chat completions that is one plain text (gateway/express.py: _chat). The prompt is
 * counted whole there, with what was read of a cache and written to it. */
PyObject *native_completion(PyObject *module, PyObject *const *args, Py_ssize_t count) {
    const unsigned needed = ID | MODEL | CHOICES | USAGE | INDEX | MESSAGE | FINISH | CONTENT;
    Completion found = {.seen = 0};
    At at;
    Py_ssize_t *counts = found.counts, read, write;
    if (count != 1 || !PyBytes_CheckExact(args[0])) Py_RETURN_NONE;
    for (int i = 0; i < COUNTS; i++) counts[i] = -1;
    at = (At)PyBytes_AS_STRING(args[0]);
    found.end = at + PyBytes_GET_SIZE(args[0]);
    at = object(&found, native_space(at, found.end), read_completion);
    if (at == NULL || native_space(at, found.end) != found.end) Py_RETURN_NONE;
    if ((found.seen & needed) != needed) Py_RETURN_NONE;
    if (counts[PROMPT] < 0 || counts[COMPLETION] < 1) Py_RETURN_NONE;
    for (int i = HIT; i < COUNTS; i++) counts[i] = counts[i] < 0 ? 0 : counts[i];
    read = counts[CACHED] > 0 ? counts[CACHED] : counts[HIT];
    read = read < counts[PROMPT] ? read : counts[PROMPT];
    write = counts[PROMPT] - read;
    write = counts[WRITTEN] < write ? counts[WRITTEN] : write;
    return Py_BuildValue(
        "N(nnnnn)",
        PyUnicode_DecodeUTF8((const char *)found.model.from, found.model.until - found.model.from, NULL),
        counts[PROMPT] - read - write, counts[COMPLETION], read, write, counts[THOUGHT]
    );
}
