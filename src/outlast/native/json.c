/* A strict reader of JSON (RFC 8259) that makes no objects: it says where values end. */

#include "native.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

At native_space(At at, At end) {
    while (at < end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')) at++;
    return at;
}

/* Return the first byte that is no plain ASCII inside of a string: a quote, a backslash, a control
 * character, or a byte of something longer. */
static inline At plain(At at, At end) {
#if defined(__SSE2__)
    const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\');
    const __m128i least = _mm_set1_epi8(0x20);
    while (end - at >= 16) {
        __m128i piece = _mm_loadu_si128((const __m128i *)at);
        /* Signed: bytes from 0x80 on are less than 0x20 too. */
        __m128i odd = _mm_or_si128(
            _mm_or_si128(_mm_cmpeq_epi8(piece, quote), _mm_cmpeq_epi8(piece, slash)),
            _mm_cmplt_epi8(piece, least)
        );
        int mask = _mm_movemask_epi8(odd);
        if (mask) return at + __builtin_ctz((unsigned)mask);
        at += 16;
    }
#endif
    while (at < end && *at >= 0x20 && *at < 0x80 && *at != '"' && *at != '\\') at++;
    return at;
}

static inline int tail(At at) { return (*at & 0xC0) == 0x80; }

/* Step over one character of two bytes or more; NULL where it is no UTF-8 (Unicode, table 3-7). */
static At wide(At at, At end) {
    unsigned char first = at[0];
    if (first >= 0xC2 && first <= 0xDF) return end - at >= 2 && tail(at + 1) ? at + 2 : NULL;
    if (first >= 0xE0 && first <= 0xEF) {
        if (end - at < 3 || !tail(at + 1) || !tail(at + 2)) return NULL;
        if (first == 0xE0 && at[1] < 0xA0) return NULL;
        if (first == 0xED && at[1] > 0x9F) return NULL;
        return at + 3;
    }
    if (first >= 0xF0 && first <= 0xF4) {
        if (end - at < 4 || !tail(at + 1) || !tail(at + 2) || !tail(at + 3)) return NULL;
        if (first == 0xF0 && at[1] < 0x90) return NULL;
        if (first == 0xF4 && at[1] > 0x8F) return NULL;
        return at + 4;
    }
    return NULL;
}

/* Return the number that four hexadecimal digits say; -1: they are none. */
static int unit(At at, At end) {
    int said = 0;
    if (end - at < 4) return -1;
    for (int i = 0; i < 4; i++) {
        unsigned char digit = at[i];
        said <<= 4;
        if (digit >= '0' && digit <= '9') said |= digit - '0';
        else if ((digit | 0x20) >= 'a' && (digit | 0x20) <= 'f') said |= (digit | 0x20) - 'a' + 10;
        else return -1;
    }
    return said;
}

/* Step over an escape, from behind its backslash; NULL where it is none, or half a pair. */
static At escape(At at, At end) {
    if (at >= end) return NULL;
    switch (*at) {
    case '"': case '\\': case '/': case 'b': case 'f': case 'n': case 'r': case 't':
        return at + 1;
    case 'u': {
        int first = unit(at + 1, end), second;
        if (first < 0 || (first >= 0xDC00 && first <= 0xDFFF)) return NULL;
        at += 5;
        if (first < 0xD800 || first > 0xDBFF) return at;
        if (end - at < 6 || at[0] != '\\' || at[1] != 'u') return NULL;
        second = unit(at + 2, end);
        return second >= 0xDC00 && second <= 0xDFFF ? at + 6 : NULL;
    }
    default:
        return NULL;
    }
}

/* `at` stands behind the opening quote; what is returned stands behind the closing one. */
At native_string(At at, At end, int *escaped) {
    *escaped = 0;
    for (;;) {
        at = plain(at, end);
        if (at >= end) return NULL;
        if (*at == '"') return at + 1;
        if (*at == '\\') {
            *escaped = 1;
            at = escape(at + 1, end);
        } else {
            at = *at < 0x20 ? NULL : wide(at, end);
        }
        if (at == NULL) return NULL;
    }
}

static At digits(At at, At end) {
    while (at < end && *at >= '0' && *at <= '9') at++;
    return at;
}

/* Numbers that are longer than any that is meant are left to Python, which knows its limits. */
static At number(At at, At end) {
    At from = at, mark;
    if (at < end && *at == '-') at++;
    mark = at;
    at = digits(at, end);
    if (at == mark || (*mark == '0' && at - mark > 1) || at - from > 18) return NULL;
    if (at < end && *at == '.') {
        mark = at + 1;
        at = digits(mark, end);
        if (at == mark || at - mark > 20) return NULL;
    }
    if (at < end && (*at | 0x20) == 'e') {
        at++;
        if (at < end && (*at == '+' || *at == '-')) at++;
        mark = at;
        at = digits(at, end);
        if (at == mark || at - mark > 2) return NULL;
    }
    return at;
}

static At word(At at, At end, const char *said, Py_ssize_t size) {
    return end - at >= size && memcmp(at, said, (size_t)size) == 0 ? at + size : NULL;
}

/* Whether a string's bytes are one of these words, or end with one behind a quote: as expressions
 * that look for the word between two quotes would find it. */
static int is(const Words *words, At from, At until, int escaped) {
    Py_ssize_t size = until - from;
    for (; words->said != NULL; words++) {
        if (size < words->size || memcmp(until - words->size, words->said, (size_t)words->size)) {
            continue;
        }
        if (size == words->size) return 1;
        if (escaped && until[-words->size - 1] == '"') return 1;
    }
    return 0;
}

static At string(At at, At end, Watch *watch, int key) {
    int escaped;
    At from = at + 1;
    at = native_string(from, end, &escaped);
    if (at != NULL && watch != NULL && !watch->seen) {
        watch->seen = is(watch->anywhere, from, at - 1, escaped) ||
                      (key && is(watch->keys, from, at - 1, escaped));
    }
    return at;
}

At native_value(At at, At end, int depth, Watch *watch) {
    int object;
    if (at >= end) return NULL;
    switch (*at) {
    case '"': return string(at, end, watch, 0);
    case 't': return word(at, end, "true", 4);
    case 'f': return word(at, end, "false", 5);
    case 'n': return word(at, end, "null", 4);
    case '{': case '[': break;
    default: return number(at, end);
    }
    if (depth >= NATIVE_DEPTH_MAX) return NULL;
    object = *at == '{';
    at = native_space(at + 1, end);
    if (at < end && *at == (object ? '}' : ']')) return at + 1;
    for (;;) {
        if (object) {
            if (at >= end || *at != '"') return NULL;
            at = string(at, end, watch, 1);
            if (at == NULL) return NULL;
            at = native_space(at, end);
            if (at >= end || *at != ':') return NULL;
            at = native_space(at + 1, end);
        }
        at = native_value(at, end, depth + 1, watch);
        if (at == NULL) return NULL;
        at = native_space(at, end);
        if (at >= end) return NULL;
        if (*at == (object ? '}' : ']')) return at + 1;
        if (*at != ',') return NULL;
        at = native_space(at + 1, end);
    }
}

int native_member(Member *member, At end, int first, Watch *watch) {
    At at = native_space(member->at, end);
    if (at >= end) return -1;
    if (*at == '}') {
        member->at = at + 1;
        return 0;
    }
    if (!first) {
        if (*at != ',') return -1;
        at = native_space(at + 1, end);
    }
    if (at >= end || *at != '"') return -1;
    member->key = at + 1;
    at = string(at, end, watch, 1);
    if (at == NULL) return -1;
    member->size = at - 1 - member->key;
    if (memchr(member->key, '\\', (size_t)member->size) != NULL) return -1;
    at = native_space(at, end);
    if (at >= end || *at != ':') return -1;
    member->value = native_space(at + 1, end);
    return 1;
}
