/* The two ends of a stream that is one text, in the shapes in which they mostly come: what
 * gateway/live.py has to know of them. The Readers of both formats say what else there may be. */

#include "native.h"

#define NO_SPAN ((Span){NULL, NULL})

enum { COUNTS = 6 };
enum { PROMPT, COMPLETION, HIT, CACHED, WRITTEN, THOUGHT };
enum { INPUT, OUTPUT, READ, CREATED_COUNT, THINKING };

/* What a frame says; a key that is read here may stand in it once. */
typedef struct {
    At end;
    unsigned seen;
    Span model, text, type;
    int choices; /* how many; -1: not told */
    int finished;
    int stopped;
    int usage;
    long long counts[COUNTS]; /* -1: not told */
} Said;

enum {
    ID = 1, MODEL = 1 << 1, CREATED = 1 << 2, OBJECT = 1 << 3, CHOICES = 1 << 4, USAGE = 1 << 5,
    ERROR_ = 1 << 6, INDEX = 1 << 7, DELTA = 1 << 8, MESSAGE = 1 << 9, FINISH = 1 << 10,
    CONTENT = 1 << 11, REFUSAL = 1 << 12, REASONING = 1 << 13, REASONING_TOO = 1 << 14,
    TOOLS = 1 << 15, FUNCTION = 1 << 16, AUDIO = 1 << 17, PROMPT_MORE = 1 << 18,
    COMPLETION_MORE = 1 << 19, TYPE = 1 << 20, BLOCK = 1 << 21, TEXT_TYPE = 1 << 22,
    SEQUENCE = 1 << 23,
};

/* -- values --------------------------------------------------------------------------------- */

static int is(Span span, const char *words) {
    Py_ssize_t size = (Py_ssize_t)strlen(words);
    return span.until - span.from == size && memcmp(span.from, words, (size_t)size) == 0;
}

static int once(Said *said, unsigned bit) {
    int fresh = !(said->seen & bit);
    said->seen |= bit;
    return fresh;
}

static At any(Said *said, At at) { return native_value(at, said->end, 8, NULL); }

static At null(Said *said, At at) {
    return said->end - at >= 4 && memcmp(at, "null", 4) == 0 ? at + 4 : NULL;
}

/* null, or what stands there: `""`, `[]`. */
static At nothing(Said *said, At at, const char *empty) {
    if (said->end - at >= 2 && memcmp(at, empty, 2) == 0) return at + 2;
    return null(said, at);
}

/* A string; `found`: its inside. */
static At string(Said *said, At at, Span *found) {
    int escaped;
    At until;
    if (at >= said->end || *at != '"') return NULL;
    until = native_string(at + 1, said->end, &escaped);
    if (until != NULL && found != NULL) *found = (Span){at + 1, until - 1};
    return until;
}

static At string_or_null(Said *said, At at) {
    return at < said->end && *at == 'n' ? null(said, at) : string(said, at, NULL);
}

/* A word of ours: a string without escapes. */
static At word(Said *said, At at, Span *found) {
    at = string(said, at, found);
    if (at == NULL) return NULL;
    return memchr(found->from, '\\', (size_t)(found->until - found->from)) == NULL ? at : NULL;
}

static At count_of(Said *said, At at, int which) {
    At from = at;
    long long told = 0;
    if (said->counts[which] >= 0) return NULL;
    while (at < said->end && *at >= '0' && *at <= '9' && at - from < 12) {
        told = told * 10 + (*at++ - '0');
    }
    said->counts[which] = told;
    return any(said, from) == at ? at : NULL;
}

/* As `count_of`, where null says as much as nothing. */
static At count_or_null(Said *said, At at, int which) {
    if (said->counts[which] >= 0) return NULL;
    return at < said->end && *at == 'n' ? null(said, at) : count_of(said, at, which);
}

static At zero(Said *said, At at) {
    return at < said->end && *at == '0' && any(said, at) == at + 1 ? at + 1 : NULL;
}

NATIVE_OBJECT(Said)

static At object_or_null(Said *said, At at, Read read) {
    return at < said->end && *at == 'n' ? null(said, at) : object(said, at, read);
}

/* -- frames --------------------------------------------------------------------------------- */

/* Read the one line of data of the frame that begins at `at`; returns where the next one begins.
 * `name`: what the line before it says, where there is one. */
static At data_frame(At at, At end, const char *name, Span *data) {
    At line;
    if (name != NULL) {
        static const char event[] = "event: ";
        Py_ssize_t size = (Py_ssize_t)strlen(name);
        if (end - at < (Py_ssize_t)sizeof event + size) return NULL;
        if (memcmp(at, event, sizeof event - 1) != 0) return NULL;
        at += sizeof event - 1;
        if (memcmp(at, name, (size_t)size) != 0 || at[size] != '\n') return NULL;
        at += size + 1;
    }
    if (end - at < 8 || memcmp(at, "data: ", 6) != 0) return NULL;
    data->from = at + 6;
    line = memchr(at, '\n', (size_t)(end - at));
    if (line == NULL || end - line < 2 || line[1] != '\n') return NULL;
    if (memchr(at, '\r', (size_t)(line - at)) != NULL) return NULL;
    data->until = line;
    return line + 2;
}

static int read_frame(Said *said, Span data, Read read) {
    memset(said, 0, sizeof *said);
    said->end = data.until;
    said->choices = -1;
    for (int i = 0; i < COUNTS; i++) said->counts[i] = -1;
    /* Not a blank before it, nor behind it: as it is written. */
    return object(said, data.from, read) == data.until;
}

static PyObject *text_of(Span span) {
    if (span.from == NULL) return PyUnicode_FromStringAndSize("", 0);
    return PyUnicode_DecodeUTF8((const char *)span.from, span.until - span.from, NULL);
}

static int bytes_of(PyObject *const *args, Py_ssize_t count, Py_ssize_t wanted, At *at, At *end) {
    if (count != wanted || !PyBytes_CheckExact(args[0])) return 0;
    *at = (At)PyBytes_AS_STRING(args[0]);
    *end = *at + PyBytes_GET_SIZE(args[0]);
    return 1;
}

/* The same, from the place that the second argument says. 0: Python must be asked; -1: an exception. */
static int bytes_from(PyObject *const *args, Py_ssize_t count, At *at, At *end) {
    Py_ssize_t start;
    if (!bytes_of(args, count, 2, at, end)) return 0;
    start = PyLong_AsSsize_t(args[1]);
    if (start == -1 && PyErr_Occurred()) return -1;
    if (start < 0 || start > *end - *at) return 0;
    *at += start;
    return 1;
}

/* -- chat completions ----------------------------------------------------------------------- */

static At read_prompt_more(Said *said, const Member *member) {
    if (named(member, "cached_tokens")) return count_of(said, member->value, CACHED);
    if (named(member, "cache_write_tokens")) return count_of(said, member->value, WRITTEN);
    return any(said, member->value);
}

static At read_completion_more(Said *said, const Member *member) {
    if (named(member, "reasoning_tokens")) return count_of(said, member->value, THOUGHT);
    return any(said, member->value);
}

static At read_usage(Said *said, const Member *member) {
    At at = member->value;
    if (named(member, "prompt_tokens")) return count_of(said, at, PROMPT);
    if (named(member, "completion_tokens")) return count_of(said, at, COMPLETION);
    if (named(member, "prompt_cache_hit_tokens")) return count_of(said, at, HIT);
    if (named(member, "prompt_tokens_details")) {
        return once(said, PROMPT_MORE) ? object_or_null(said, at, read_prompt_more) : NULL;
    }
    if (named(member, "completion_tokens_details")) {
        return once(said, COMPLETION_MORE) ? object_or_null(said, at, read_completion_more) : NULL;
    }
    return any(said, at);
}

static At read_delta(Said *said, const Member *member) {
    At at = member->value;
    if (named(member, "content")) {
        if (!once(said, CONTENT)) return NULL;
        return *at == 'n' ? null(said, at) : string(said, at, &said->text);
    }
    if (named(member, "refusal")) return once(said, REFUSAL) ? nothing(said, at, "\"\"") : NULL;
    if (named(member, "reasoning_content")) {
        return once(said, REASONING) ? nothing(said, at, "\"\"") : NULL;
    }
    if (named(member, "reasoning")) {
        return once(said, REASONING_TOO) ? nothing(said, at, "\"\"") : NULL;
    }
    if (named(member, "tool_calls")) return once(said, TOOLS) ? nothing(said, at, "[]") : NULL;
    if (named(member, "function_call")) return once(said, FUNCTION) ? null(said, at) : NULL;
    if (named(member, "audio")) return once(said, AUDIO) ? null(said, at) : NULL;
    return any(said, at);
}

static At read_choice(Said *said, const Member *member) {
    At at = member->value, until;
    Span reason;
    if (named(member, "index")) return once(said, INDEX) ? zero(said, at) : NULL;
    if (named(member, "delta")) return once(said, DELTA) ? object(said, at, read_delta) : NULL;
    if (named(member, "message")) return once(said, MESSAGE) ? null(said, at) : NULL;
    if (named(member, "finish_reason")) {
        if (!once(said, FINISH)) return NULL;
        if (*at == 'n') return null(said, at);
        until = word(said, at, &reason);
        if (until == NULL || !(is(reason, "stop") || is(reason, "length"))) return NULL;
        said->finished = 1;
        return until;
    }
    return any(said, at);
}

static At read_chunk(Said *said, const Member *member) {
    At at = member->value;
    Span kind;
    if (named(member, "id")) return once(said, ID) ? string_or_null(said, at) : NULL;
    if (named(member, "model")) {
        if (!once(said, MODEL)) return NULL;
        return *at == 'n' ? null(said, at) : word(said, at, &said->model);
    }
    if (named(member, "created")) {
        if (!once(said, CREATED) || !(*at == 'n' || (*at >= '0' && *at <= '9'))) return NULL;
        return any(said, at);
    }
    if (named(member, "object")) {
        at = once(said, OBJECT) ? word(said, at, &kind) : NULL;
        return at != NULL && !is(kind, "error") ? at : NULL;
    }
    if (named(member, "choices")) {
        if (!once(said, CHOICES) || *at != '[') return NULL;
        at = native_space(at + 1, said->end);
        said->choices = 0;
        if (at < said->end && *at == ']') return at + 1;
        said->choices = 1;
        at = object(said, at, read_choice);
        if (at == NULL) return NULL;
        at = native_space(at, said->end);
        return at < said->end && *at == ']' ? at + 1 : NULL;
    }
    if (named(member, "usage")) {
        if (!once(said, USAGE)) return NULL;
        if (*at == 'n') return null(said, at);
        said->usage = 1;
        return object(said, at, read_usage);
    }
    if (named(member, "error")) return once(said, ERROR_) ? null(said, at) : NULL;
    return any(said, at);
}

static int empty(Span span) { return span.from == span.until; }

/* chat_begins(data) -> (model, skipped, from, until, end, 0, 0)
 *
 * A stream that begins with one piece of text, or with a role and then that: it stands, with no
 * quotes, `from` its place `until` there, in the frame that begins behind `skipped` bytes and ends
 * at `end`. The last two: where frames stand before it that only say that somebody is there. */
PyObject *native_chat_begins(PyObject *module, PyObject *const *args, Py_ssize_t count) {
    At data, at, end, next;
    Said said;
    Span line, model = NO_SPAN;
    if (!bytes_of(args, count, 1, &data, &end)) Py_RETURN_NONE;
    at = data;
    for (int number = 0; number < 2; number++) {
        next = data_frame(at, end, NULL, &line);
        if (next == NULL || !read_frame(&said, line, read_chunk)) Py_RETURN_NONE;
        if (said.choices != 1 || said.finished || said.usage) Py_RETURN_NONE;
        if (number == 0) model = said.model;
        if (!empty(said.text)) {
            return Py_BuildValue(
                "Nnnnnnn", text_of(model), (Py_ssize_t)(at - data),
                (Py_ssize_t)(said.text.from - data), (Py_ssize_t)(said.text.until - data),
                (Py_ssize_t)(next - data), (Py_ssize_t)0, (Py_ssize_t)0
            );
        }
        at = next;
    }
    Py_RETURN_NONE;
}

/* chat_ends(data, start) -> () | (prompt, completion, hit, cached, written, thought)
 *
 * From `start` to its end: why the model stopped, the usage or not, [DONE]. */
PyObject *native_chat_ends(PyObject *module, PyObject *const *args, Py_ssize_t count) {
    static const char last[] = "data: [DONE]\n\n";
    At at, end;
    Said said, usage = {0};
    Span line;
    int ready = bytes_from(args, count, &at, &end), told = 0;
    if (ready < 0) return NULL;
    if (!ready) Py_RETURN_NONE;
    at = data_frame(at, end, NULL, &line);
    if (at == NULL || !read_frame(&said, line, read_chunk)) Py_RETURN_NONE;
    if (said.choices != 1 || !said.finished || !empty(said.text)) Py_RETURN_NONE;
    if (said.usage) {
        usage = said;
        told = 1;
    }
    if (end - at != (Py_ssize_t)sizeof last - 1) {
        at = data_frame(at, end, NULL, &line);
        if (at == NULL || told || !read_frame(&usage, line, read_chunk)) Py_RETURN_NONE;
        if (usage.choices != 0 || !usage.usage) Py_RETURN_NONE;
        told = 1;
    }
    if (end - at != (Py_ssize_t)sizeof last - 1 || memcmp(at, last, sizeof last - 1)) Py_RETURN_NONE;
    if (!told) return PyTuple_New(0);
    for (int i = 0; i < COUNTS; i++) usage.counts[i] = usage.counts[i] < 0 ? 0 : usage.counts[i];
    return Py_BuildValue(
        "LLLLLL", usage.counts[PROMPT], usage.counts[COMPLETION], usage.counts[HIT],
        usage.counts[CACHED], usage.counts[WRITTEN], usage.counts[THOUGHT]
    );
}

/* -- messages ------------------------------------------------------------------------------- */

static At read_output_more(Said *said, const Member *member) {
    if (named(member, "thinking_tokens")) return count_or_null(said, member->value, THINKING);
    return any(said, member->value);
}

static At read_message_usage(Said *said, const Member *member) {
    At at = member->value;
    if (named(member, "input_tokens")) return count_or_null(said, at, INPUT);
    if (named(member, "output_tokens")) return count_or_null(said, at, OUTPUT);
    if (named(member, "cache_read_input_tokens")) return count_or_null(said, at, READ);
    if (named(member, "cache_creation_input_tokens")) return count_or_null(said, at, CREATED_COUNT);
    if (named(member, "output_tokens_details")) {
        return once(said, COMPLETION_MORE) ? object_or_null(said, at, read_output_more) : NULL;
    }
    return any(said, at);
}

static At usage_or_null(Said *said, At at) {
    if (!once(said, USAGE)) return NULL;
    if (*at == 'n') return null(said, at);
    said->usage = 1;
    return object(said, at, read_message_usage);
}

static At read_message(Said *said, const Member *member) {
    At at = member->value;
    if (named(member, "id")) return once(said, ID) ? string(said, at, NULL) : NULL;
    if (named(member, "model")) return once(said, MODEL) ? word(said, at, &said->model) : NULL;
    if (named(member, "usage")) return usage_or_null(said, at);
    return any(said, at);
}

/* What every frame has. */
static At read_typed(Said *said, const Member *member) {
    At at = member->value;
    if (named(member, "type")) return once(said, TYPE) ? word(said, at, &said->type) : NULL;
    if (named(member, "index")) return once(said, INDEX) ? zero(said, at) : NULL;
    return any(said, at);
}

static At read_start(Said *said, const Member *member) {
    At at = member->value;
    if (named(member, "message")) {
        return once(said, MESSAGE) ? object(said, at, read_message) : NULL;
    }
    return read_typed(said, member);
}

static At read_block(Said *said, const Member *member) {
    At at = member->value;
    Span kind;
    if (named(member, "type")) {
        at = once(said, TEXT_TYPE) ? word(said, at, &kind) : NULL;
        return at != NULL && is(kind, "text") ? at : NULL;
    }
    if (named(member, "text")) return once(said, CONTENT) ? nothing(said, at, "\"\"") : NULL;
    return any(said, at);
}

static At read_block_start(Said *said, const Member *member) {
    At at = member->value;
    if (named(member, "content_block")) {
        return once(said, BLOCK) ? object(said, at, read_block) : NULL;
    }
    return read_typed(said, member);
}

static At read_text_delta(Said *said, const Member *member) {
    At at = member->value;
    Span kind;
    if (named(member, "type")) {
        at = once(said, TEXT_TYPE) ? word(said, at, &kind) : NULL;
        return at != NULL && is(kind, "text_delta") ? at : NULL;
    }
    if (named(member, "text")) return once(said, CONTENT) ? string(said, at, &said->text) : NULL;
    return any(said, at);
}

static At read_block_delta(Said *said, const Member *member) {
    At at = member->value;
    if (named(member, "delta")) return once(said, DELTA) ? object(said, at, read_text_delta) : NULL;
    return read_typed(said, member);
}

static At read_reason(Said *said, const Member *member) {
    At at = member->value;
    if (named(member, "stop_reason")) {
        if (!once(said, FINISH)) return NULL;
        said->stopped = 1;
        return string(said, at, NULL);
    }
    if (named(member, "stop_sequence")) return once(said, SEQUENCE) ? string_or_null(said, at) : NULL;
    return any(said, at);
}

static At read_message_delta(Said *said, const Member *member) {
    At at = member->value;
    if (named(member, "delta")) return once(said, DELTA) ? object(said, at, read_reason) : NULL;
    if (named(member, "usage")) return usage_or_null(said, at);
    return read_typed(said, member);
}

/* Read the next frame, which is of this type and named so; NULL where it is not, or has not these keys. */
static At typed(Said *said, At at, At end, const char *type, Read read, unsigned keys) {
    Span line;
    at = data_frame(at, end, type, &line);
    if (at == NULL || !read_frame(said, line, read)) return NULL;
    return (said->seen & TYPE) && is(said->type, type) && (said->seen & keys) == keys ? at : NULL;
}

static PyObject *message_counts(const Said *said) {
    if (!said->usage) return PyTuple_New(0);
    return Py_BuildValue(
        "LLLLL", said->counts[INPUT], said->counts[OUTPUT], said->counts[READ],
        said->counts[CREATED_COUNT], said->counts[THINKING]
    );
}

/* messages_begins(data) -> (model, skipped, from, until, end, ping, unping, counts)
 *
 * As `chat_begins`: the message, a block of text, pings, its first piece. `counts`: as
 * `messages_ends`. */
PyObject *native_messages_begins(PyObject *module, PyObject *const *args, Py_ssize_t count) {
    At data, at, end, next, ping, unping;
    Said start, said;
    if (!bytes_of(args, count, 1, &data, &end)) Py_RETURN_NONE;
    at = typed(&start, data, end, "message_start", read_start, MESSAGE);
    if (at == NULL) Py_RETURN_NONE;
    at = typed(&said, at, end, "content_block_start", read_block_start, INDEX | BLOCK | TEXT_TYPE);
    if (at == NULL) Py_RETURN_NONE;
    ping = unping = at;
    while ((next = typed(&said, at, end, "ping", read_typed, 0)) != NULL) unping = at = next;
    next = typed(
        &said, at, end, "content_block_delta", read_block_delta,
        INDEX | DELTA | TEXT_TYPE | CONTENT
    );
    if (next == NULL || empty(said.text)) Py_RETURN_NONE;
    return Py_BuildValue(
        "NnnnnnnN", text_of(start.model), (Py_ssize_t)(at - data),
        (Py_ssize_t)(said.text.from - data), (Py_ssize_t)(said.text.until - data),
        (Py_ssize_t)(next - data), (Py_ssize_t)(ping - data), (Py_ssize_t)(unping - data),
        message_counts(&start)
    );
}

/* messages_ends(data, start) -> () | (input, output, read, created, thinking)
 *
 * From `start` to its end: the block's end, why the model stopped, the message's. Counts that are
 * not told are -1; (): no usage is told at all. */
PyObject *native_messages_ends(PyObject *module, PyObject *const *args, Py_ssize_t count) {
    At at, end;
    Said said, stop;
    int ready = bytes_from(args, count, &at, &end);
    if (ready < 0) return NULL;
    if (!ready) Py_RETURN_NONE;
    at = typed(&said, at, end, "content_block_stop", read_typed, INDEX);
    if (at == NULL) Py_RETURN_NONE;
    at = typed(&stop, at, end, "message_delta", read_message_delta, DELTA | FINISH);
    if (at == NULL) Py_RETURN_NONE;
    at = typed(&said, at, end, "message_stop", read_typed, 0);
    if (at != end) Py_RETURN_NONE;
    return message_counts(&stop);
}
