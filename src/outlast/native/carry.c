/* Plain messages of the Messages API, and plain chat requests said in it: gateway/express.py
 * (plain_message), gateway/carrying.py. */

#include "native.h"

#include <stdio.h>

typedef struct {
    At from, until; /* a JSON string with its quotes */
} Text;

/* Whether a string stands there as an encoder would write it again, and shows something: at least
 * one visible sign of ASCII. `text`: its quotes included. */
static int plainly(Text text, int *visible) {
    *visible = 0;
    for (At at = text.from + 1; at < text.until - 1; at++) {
        if (*at == '\\') {
            at++;
            if (*at == '"' || *at == '\\') *visible = 1;
            else if (strchr("nrtbf", *at) == NULL) return 0;
        } else if (*at > ' ' && *at < 0x7F) {
            *visible = 1;
        }
    }
    return 1;
}

static At text_at(At at, At end, Text *text) {
    int escaped;
    if (at >= end || *at != '"') return NULL;
    text->from = at;
    text->until = native_string(at + 1, end, &escaped);
    return text->until;
}

static At null_at(At at, At end) {
    return end - at >= 4 && memcmp(at, "null", 4) == 0 ? at + 4 : NULL;
}

/* A count, in digits alone; up to 2**31. */
static At count_at(At at, At end, Py_ssize_t *to) {
    At from = at;
    Py_ssize_t told = 0;
    while (at < end && *at >= '0' && *at <= '9' && at - from < 10) told = told * 10 + (*at++ - '0');
    *to = told;
    return told <= (Py_ssize_t)1 << 31 && native_value(from, end, 4, NULL) == at ? at : NULL;
}

/* -- pieces that become bytes ---------------------------------------------------------------- */

typedef struct {
    char *at; /* NULL while sizes are added up */
    Py_ssize_t size;
} Out;

static void add(Out *out, const void *from, Py_ssize_t size) {
    if (out->at != NULL) {
        memcpy(out->at, from, (size_t)size);
        out->at += size;
    }
    out->size += size;
}

static void add_words(Out *out, const char *words) { add(out, words, (Py_ssize_t)strlen(words)); }

static void add_text(Out *out, Text text) { add(out, text.from, text.until - text.from); }

static void add_count(Out *out, Py_ssize_t count) {
    char digits[24];
    add(out, digits, snprintf(digits, sizeof digits, "%zd", count));
}

/* -- questions -------------------------------------------------------------------------------- */

#define TURNS_MAX 64

typedef struct {
    Text role, content;
} Turn;

typedef struct {
    Turn turns[TURNS_MAX];
    int count, leading;
    Py_ssize_t older, newer; /* -1: not told */
} Chat;

static At read_turn(At at, At end, Turn *turn) {
    Member member = {.at = at + 1};
    int more, first = 1;
    turn->role.from = turn->content.from = NULL;
    if (at >= end || *at != '{') return NULL;
    while ((more = native_member(&member, end, first, NULL)) > 0) {
        Text *text = named(&member, "role")      ? &turn->role
                     : named(&member, "content") ? &turn->content
                                                 : NULL;
        first = 0;
        if (text == NULL || text->from != NULL) return NULL;
        member.at = text_at(member.value, end, text);
        if (member.at == NULL) return NULL;
    }
    return more == 0 && turn->role.from != NULL && turn->content.from != NULL ? member.at : NULL;
}

static At read_turns(At at, At end, Chat *chat) {
    if (at >= end || *at != '[') return NULL;
    at = native_space(at + 1, end);
    for (;;) {
        if (chat->count == TURNS_MAX) return NULL;
        at = read_turn(at, end, &chat->turns[chat->count++]);
        if (at == NULL) return NULL;
        at = native_space(at, end);
        if (at >= end) return NULL;
        if (*at == ']') return at + 1;
        if (*at != ',') return NULL;
        at = native_space(at + 1, end);
    }
}

static At read_limit(At at, At end, Py_ssize_t *to) {
    At until = null_at(at, end);
    if (until != NULL) return until;
    until = count_at(at, end, to);
    return until != NULL && *to >= 1 ? until : NULL;
}

/* Whether the usage is to be told at a stream's end, or not, and nothing else. */
static At read_options(At at, At end) {
    static const char *const ways[] = {
        "{\"include_usage\":true}", "{\"include_usage\": true}",
        "{\"include_usage\":false}", "{\"include_usage\": false}",
    };
    At until = native_value(at, end, 2, NULL);
    for (size_t i = 0; until != NULL && i < sizeof ways / sizeof *ways; i++) {
        if (said(at, until, ways[i])) return until;
    }
    return NULL;
}

static int read_chat(At at, At end, int stream, Chat *chat) {
    enum { MODEL = 1, MESSAGES = 2, OLDER = 4, NEWER = 8, STREAM = 16, OPTIONS = 32 };
    int more, first = 1, seen = 0, streams = 0;
    Member member;
    chat->count = chat->leading = 0;
    chat->older = chat->newer = -1;
    at = native_space(at, end);
    if (at >= end || *at != '{') return 0;
    member.at = at + 1;
    while ((more = native_member(&member, end, first, NULL)) > 0) {
        Text text;
        int bit;
        first = 0;
        if (member.value >= end) return 0;
        if (named(&member, "model")) {
            bit = MODEL;
            member.at = text_at(member.value, end, &text);
        } else if (named(&member, "messages")) {
            bit = MESSAGES;
            member.at = seen & MESSAGES ? NULL : read_turns(member.value, end, chat);
        } else if (named(&member, "max_tokens")) {
            bit = OLDER;
            member.at = read_limit(member.value, end, &chat->older);
        } else if (named(&member, "max_completion_tokens")) {
            bit = NEWER;
            member.at = read_limit(member.value, end, &chat->newer);
        } else if (named(&member, "stream_options")) {
            bit = OPTIONS;
            member.at = stream ? read_options(member.value, end) : NULL;
        } else if (named(&member, "stream")) {
            At until = native_value(member.value, end, 1, NULL);
            bit = STREAM;
            if (until == NULL) return 0;
            member.at = until;
            streams = said(member.value, until, "true");
            if (!streams && !said(member.value, until, "false") &&
                !said(member.value, until, "null")) {
                return 0;
            }
        } else {
            return 0;
        }
        if (member.at == NULL || seen & bit) return 0;
        seen |= bit;
    }
    if (streams != stream) return 0;
    return more == 0 && seen & MODEL && seen & MESSAGES && native_space(member.at, end) == end;
}

/* Whether operators speak first, then user and assistant in turns, from the user to the user. */
static int in_turns(Chat *chat) {
    int place = 0;
    for (; place < chat->count; place++) {
        Text role = chat->turns[place].role;
        if (!said(role.from, role.until, "\"system\"") &&
            !said(role.from, role.until, "\"developer\"")) {
            break;
        }
    }
    chat->leading = place;
    if ((chat->count - place) % 2 == 0) return 0;
    for (int number = 0; place < chat->count; place++, number++) {
        Text role = chat->turns[place].role;
        if (!said(role.from, role.until, number % 2 ? "\"assistant\"" : "\"user\"")) return 0;
    }
    for (place = 0; place < chat->count; place++) {
        int visible;
        if (!plainly(chat->turns[place].content, &visible) || !visible) return 0;
    }
    return 1;
}

static void write_block(Out *out, Text text) {
    add_words(out, "{\"type\":\"text\",\"text\":");
    add_text(out, text);
    add_words(out, "}");
}

static void write_question(
    Out *out, const Chat *chat, PyObject *model, Py_ssize_t limit, int stream
) {
    add_words(out, "{\"model\":");
    add(out, PyBytes_AS_STRING(model), PyBytes_GET_SIZE(model));
    add_words(out, ",\"max_tokens\":");
    add_count(out, limit);
    for (int place = 0; place < chat->leading; place++) {
        add_words(out, place ? "," : ",\"system\":[");
        write_block(out, chat->turns[place].content);
    }
    add_words(out, chat->leading ? "],\"messages\":[" : ",\"messages\":[");
    for (int place = chat->leading; place < chat->count; place++) {
        add_words(out, place > chat->leading ? ",{\"role\":" : "{\"role\":");
        add_text(out, chat->turns[place].role);
        add_words(out, ",\"content\":[");
        write_block(out, chat->turns[place].content);
        add_words(out, "]}");
    }
    add_words(out, stream ? "],\"stream\":true}" : "]}");
}

/* question(body, model, usual, most, stream) -> the upstream's body
 *
 * Carrying.question. `model`: as JSON; `usual`: the limit of tokens where none is told; `most`: the
 * greatest that can be told, 0 where there is none. */
PyObject *native_question(PyObject *module, PyObject *const *args, Py_ssize_t count) {
    Chat chat;
    Py_ssize_t limit, usual, most;
    int stream;
    Out out = {NULL, 0};
    PyObject *made;
    At at;
    if (count != 5 || !PyBytes_CheckExact(args[0]) || !PyBytes_CheckExact(args[1])) Py_RETURN_NONE;
    stream = args[4] == Py_True;
    usual = PyLong_AsSsize_t(args[2]);
    most = PyLong_AsSsize_t(args[3]);
    if (PyErr_Occurred()) return NULL;
    at = (At)PyBytes_AS_STRING(args[0]);
    if (!read_chat(at, at + PyBytes_GET_SIZE(args[0]), stream, &chat) || !in_turns(&chat)) {
        Py_RETURN_NONE;
    }
    limit = chat.newer >= 0 ? chat.newer : chat.older;
    if (limit < 0) limit = usual;
    else if (most && limit > most) Py_RETURN_NONE;
    write_question(&out, &chat, args[1], limit, stream);
    made = PyBytes_FromStringAndSize(NULL, out.size);
    if (made == NULL) return NULL;
    out = (Out){PyBytes_AS_STRING(made), 0};
    write_question(&out, &chat, args[1], limit, stream);
    return made;
}

/* -- answers ---------------------------------------------------------------------------------- */

enum { INPUT, OUTPUT, READ, WRITTEN, THOUGHT, COUNTS };

typedef struct {
    At end;
    Text id, model, text;
    const char *word; /* the finish reason of chat completions */
    Py_ssize_t counts[COUNTS]; /* -1: not told */
    unsigned seen;
} Message;

enum {
    ID = 1, TYPE = 2, MODEL_ = 4, CONTENT = 8, REASON = 16, USAGE = 32, SEQUENCE = 64,
    BLOCK_TYPE = 128, BLOCK_TEXT = 256, CITATIONS = 512, DETAILS = 1024,
};

static int once(Message *message, unsigned bit) {
    int fresh = !(message->seen & bit);
    message->seen |= bit;
    return fresh;
}

NATIVE_OBJECT(Message)

static At any(Message *message, const Member *member) {
    return native_value(member->value, message->end, 4, NULL);
}

static At read_details(Message *message, const Member *member) {
    Py_ssize_t *to = &message->counts[THOUGHT];
    if (!named(member, "thinking_tokens")) return any(message, member);
    if (*to >= 0) return NULL;
    if (*member->value == 'n') {
        *to = 0;
        return null_at(member->value, message->end);
    }
    return count_at(member->value, message->end, to);
}

static At read_usage(Message *message, const Member *member) {
    static const char *const names[] = {
        "input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens",
    };
    for (int i = 0; i < 4; i++) {
        if (!named(member, names[i])) continue;
        if (message->counts[i] >= 0) return NULL;
        if (*member->value == 'n') {
            message->counts[i] = 0;
            return null_at(member->value, message->end);
        }
        return count_at(member->value, message->end, &message->counts[i]);
    }
    if (named(member, "output_tokens_details")) {
        if (!once(message, DETAILS)) return NULL;
        if (*member->value == 'n') return null_at(member->value, message->end);
        return object(message, member->value, read_details);
    }
    return any(message, member);
}

static At read_block(Message *message, const Member *member) {
    At until = any(message, member);
    if (until == NULL) return NULL;
    if (named(member, "type")) {
        return once(message, BLOCK_TYPE) && said(member->value, until, "\"text\"") ? until : NULL;
    }
    if (named(member, "text")) {
        if (!once(message, BLOCK_TEXT) || *member->value != '"') return NULL;
        message->text = (Text){member->value, until};
        return until - member->value > 2 ? until : NULL;
    }
    if (named(member, "citations")) {
        int none = said(member->value, until, "null") || said(member->value, until, "[]");
        return once(message, CITATIONS) && none ? until : NULL;
    }
    return until;
}

static At read_content(Message *message, At at) {
    if (at >= message->end || *at != '[') return NULL;
    at = object(message, native_space(at + 1, message->end), read_block);
    if (at == NULL) return NULL;
    at = native_space(at, message->end);
    return at < message->end && *at == ']' ? at + 1 : NULL;
}

static At read_reason(Message *message, const Member *member) {
    static const char *const words[][2] = {
        {"\"end_turn\"", "stop"}, {"\"stop_sequence\"", "stop"}, {"\"max_tokens\"", "length"},
    };
    At until = any(message, member);
    for (int i = 0; until != NULL && i < 3; i++) {
        if (said(member->value, until, words[i][0])) {
            message->word = words[i][1];
            return until;
        }
    }
    return NULL;
}

static At read_message(Message *message, const Member *member) {
    At at = member->value, until;
    if (named(member, "content")) return once(message, CONTENT) ? read_content(message, at) : NULL;
    if (named(member, "usage")) {
        return once(message, USAGE) ? object(message, at, read_usage) : NULL;
    }
    if (named(member, "id")) {
        return once(message, ID) ? text_at(at, message->end, &message->id) : NULL;
    }
    if (named(member, "model")) {
        return once(message, MODEL_) ? text_at(at, message->end, &message->model) : NULL;
    }
    if (named(member, "stop_reason")) {
        return once(message, REASON) ? read_reason(message, member) : NULL;
    }
    until = any(message, member);
    if (until == NULL) return NULL;
    if (named(member, "type")) {
        return once(message, TYPE) && said(at, until, "\"message\"") ? until : NULL;
    }
    if (named(member, "stop_sequence")) {
        return once(message, SEQUENCE) && (*at == '"' || *at == 'n') ? until : NULL;
    }
    return until;
}

static int escapes(Text text) {
    return memchr(text.from, '\\', (size_t)(text.until - text.from)) != NULL;
}

static int read_answer(PyObject *body, Message *message) {
    const unsigned needed = ID | TYPE | MODEL_ | CONTENT | REASON | USAGE | BLOCK_TYPE | BLOCK_TEXT;
    At at;
    memset(message, 0, sizeof *message);
    for (int i = 0; i < COUNTS; i++) message->counts[i] = -1;
    at = (At)PyBytes_AS_STRING(body);
    message->end = at + PyBytes_GET_SIZE(body);
    at = object(message, native_space(at, message->end), read_message);
    if (at == NULL || native_space(at, message->end) != message->end) return 0;
    if ((message->seen & needed) != needed || message->counts[OUTPUT] < 1) return 0;
    if (escapes(message->id) || escapes(message->model)) return 0;
    for (int i = 0; i < COUNTS; i++) message->counts[i] += message->counts[i] < 0;
    return 1;
}

static PyObject *found_of(const Message *message) {
    const Py_ssize_t *counts = message->counts;
    const char *model = (const char *)message->model.from + 1;
    return Py_BuildValue(
        "s#(nnnnn)", model, message->model.until - message->model.from - 2, counts[INPUT],
        counts[OUTPUT], counts[READ], counts[WRITTEN], counts[THOUGHT]
    );
}

/* message(body) -> (model, (input, output, cache read, cache write, reasoning)) */
PyObject *native_message(PyObject *module, PyObject *const *args, Py_ssize_t count) {
    Message message;
    if (count != 1 || !PyBytes_CheckExact(args[0])) Py_RETURN_NONE;
    if (!read_answer(args[0], &message)) Py_RETURN_NONE;
    return found_of(&message);
}

static void write_answer(Out *out, const Message *message, Py_ssize_t created) {
    static const char prefix[] = "chatcmpl-";
    const Py_ssize_t *counts = message->counts;
    Py_ssize_t prompt = counts[INPUT] + counts[READ] + counts[WRITTEN];
    Text id = {message->id.from + 1, message->id.until - 1};
    add_words(out, "{\"id\":\"");
    if (id.until - id.from < 9 || memcmp(id.from, prefix, 9)) add_words(out, prefix);
    if (id.until == id.from) add_words(out, "outlast");
    add_text(out, id);
    add_words(out, "\",\"object\":\"chat.completion\",\"created\":");
    add_count(out, created);
    add_words(out, ",\"model\":");
    add_text(out, message->model);
    add_words(
        out, ",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":"
    );
    add_text(out, message->text);
    add_words(out, ",\"refusal\":null},\"logprobs\":null,\"finish_reason\":\"");
    add_words(out, message->word);
    add_words(out, "\"}],\"usage\":{\"prompt_tokens\":");
    add_count(out, prompt);
    add_words(out, ",\"completion_tokens\":");
    add_count(out, counts[OUTPUT]);
    add_words(out, ",\"total_tokens\":");
    add_count(out, prompt + counts[OUTPUT]);
    add_words(out, ",\"prompt_tokens_details\":{\"cached_tokens\":");
    add_count(out, counts[READ]);
    if (counts[WRITTEN]) {
        add_words(out, ",\"cache_write_tokens\":");
        add_count(out, counts[WRITTEN]);
    }
    add_words(out, "},\"completion_tokens_details\":{\"reasoning_tokens\":");
    add_count(out, counts[THOUGHT]);
    add_words(out, "}}}");
}

/* carried(body, created) -> ((model, counts), the body for a chat client): Carrying.answer. */
PyObject *native_carried(PyObject *module, PyObject *const *args, Py_ssize_t count) {
    Message message;
    Out out = {NULL, 0};
    Py_ssize_t created;
    int visible;
    PyObject *made;
    if (count != 2 || !PyBytes_CheckExact(args[0])) Py_RETURN_NONE;
    created = PyLong_AsSsize_t(args[1]);
    if (created == -1 && PyErr_Occurred()) return NULL;
    if (!read_answer(args[0], &message) || !plainly(message.text, &visible)) Py_RETURN_NONE;
    if (message.model.until - message.model.from == 2) Py_RETURN_NONE;
    write_answer(&out, &message, created);
    made = PyBytes_FromStringAndSize(NULL, out.size);
    if (made == NULL) return NULL;
    out = (Out){PyBytes_AS_STRING(made), 0};
    write_answer(&out, &message, created);
    return Py_BuildValue("NN", found_of(&message), made);
}
