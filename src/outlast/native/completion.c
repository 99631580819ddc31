/* What a chat completion says that is one plain text: gateway/express.py (_chat). */

#include "native.h"

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

NATIVE_OBJECT(Completion)

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
