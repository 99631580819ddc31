/* Receipts and the journal's frames: gateway/express.py (Form), store/segment.py. */

#include "native.h"

static unsigned char *put(unsigned char *to, PyObject *bytes) {
    memcpy(to, PyBytes_AS_STRING(bytes), (size_t)PyBytes_GET_SIZE(bytes));
    return to + PyBytes_GET_SIZE(bytes);
}

static unsigned char *put_big(unsigned char *to, uint64_t value, int size) {
    for (int i = size - 1; i >= 0; i--) {
        to[i] = (unsigned char)value;
        value >>= 8;
    }
    return to + size;
}

/* -- MessagePack (the specification's shortest form of each) --------------------------------- */

/* Without the byte that says what comes: it stands in the part before it. */
static unsigned char *put_double(unsigned char *to, double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return put_big(to, bits, 8);
}

static unsigned char *put_count(unsigned char *to, uint64_t value) {
    if (value < 0x80) {
        *to++ = (unsigned char)value;
        return to;
    }
    if (value <= 0xFF) {
        *to++ = 0xCC;
        return put_big(to, value, 1);
    }
    if (value <= 0xFFFF) {
        *to++ = 0xCD;
        return put_big(to, value, 2);
    }
    if (value <= 0xFFFFFFFF) {
        *to++ = 0xCE;
        return put_big(to, value, 4);
    }
    *to++ = 0xCF;
    return put_big(to, value, 8);
}

static unsigned char *put_text(unsigned char *to, const char *text, Py_ssize_t size) {
    if (size < 32) {
        *to++ = (unsigned char)(0xA0 | size);
    } else if (size <= 0xFF) {
        *to++ = 0xD9;
        to = put_big(to, (uint64_t)size, 1);
    } else {
        *to++ = 0xDA;
        to = put_big(to, (uint64_t)size, 2);
    }
    memcpy(to, text, (size_t)size);
    return to + size;
}

#define COUNTS 5
#define TEXT_MAX_BYTES 0xFFFF

static const char *const NAMES[COUNTS] = {
    "input", "output", "cache_read", "cache_write", "reasoning",
};

static unsigned char *put_tokens(unsigned char *to, const uint64_t *counts) {
    *to++ = 0x80 | (COUNTS + 1);
    for (int i = 0; i < COUNTS; i++) {
        to = put_text(to, NAMES[i], (Py_ssize_t)strlen(NAMES[i]));
        to = put_count(to, counts[i]);
    }
    to = put_text(to, "estimated", 9);
    *to++ = 0xC2; /* false */
    return to;
}

enum { START, STARTED, ENDED, MIDDLE, TOKENS, THEIRS, PARTS };

/* receipt(parts, ident, began, ended, counts, theirs)
 *
 * Form.fill of a whole answer. `parts`: what stands between, in this order; `counts`: of tokens. */
PyObject *native_receipt(PyObject *module, PyObject *const *args, Py_ssize_t count) {
    const char *ident, *theirs;
    Py_ssize_t ident_size, theirs_size, size = 0;
    uint64_t counts[COUNTS];
    double began, ended;
    PyObject *parts, *out;
    unsigned char *to;
    if (count != 6 || !PyTuple_CheckExact(args[0]) || PyTuple_GET_SIZE(args[0]) != PARTS) {
        Py_RETURN_NONE;
    }
    parts = args[0];
    for (int i = 0; i < PARTS; i++) {
        PyObject *part = PyTuple_GET_ITEM(parts, i);
        if (!PyBytes_CheckExact(part)) Py_RETURN_NONE;
        size += PyBytes_GET_SIZE(part);
    }
    if (!PyUnicode_CheckExact(args[1]) || !PyUnicode_IS_ASCII(args[1])) Py_RETURN_NONE;
    if (!PyUnicode_CheckExact(args[5]) || !PyUnicode_IS_ASCII(args[5])) Py_RETURN_NONE;
    if (!PyFloat_CheckExact(args[2]) || !PyFloat_CheckExact(args[3])) Py_RETURN_NONE;
    if (!PyTuple_CheckExact(args[4]) || PyTuple_GET_SIZE(args[4]) != COUNTS) Py_RETURN_NONE;
    for (int i = 0; i < COUNTS; i++) {
        PyObject *one = PyTuple_GET_ITEM(args[4], i);
        long long value = PyLong_CheckExact(one) ? PyLong_AsLongLong(one) : -1;
        if (value < 0) {
            PyErr_Clear();
            Py_RETURN_NONE;
        }
        counts[i] = (uint64_t)value;
    }
    ident = PyUnicode_AsUTF8AndSize(args[1], &ident_size);
    theirs = PyUnicode_AsUTF8AndSize(args[5], &theirs_size);
    if (ident == NULL || theirs == NULL) return NULL;
    if (ident_size > TEXT_MAX_BYTES || theirs_size > TEXT_MAX_BYTES) Py_RETURN_NONE;
    began = PyFloat_AS_DOUBLE(args[2]);
    ended = PyFloat_AS_DOUBLE(args[3]);
    /* Four numbers; names and counts of the tokens; the texts with what says their length. The
     * ends of `parts` that stand twice count twice. */
    size += PyBytes_GET_SIZE(PyTuple_GET_ITEM(parts, ENDED)) + 4 * 8 + 1 + 60 + COUNTS * 9;
    size += ident_size + theirs_size + 6;
    out = PyBytes_FromStringAndSize(NULL, size);
    if (out == NULL) return NULL;
    to = (unsigned char *)PyBytes_AS_STRING(out);
    to = put(to, PyTuple_GET_ITEM(parts, START));
    to = put_text(to, ident, ident_size);
    to = put(to, PyTuple_GET_ITEM(parts, STARTED));
    to = put_double(to, began);
    to = put(to, PyTuple_GET_ITEM(parts, ENDED));
    to = put_double(to, ended);
    to = put(to, PyTuple_GET_ITEM(parts, MIDDLE));
    to = put_double(to, began);
    to = put(to, PyTuple_GET_ITEM(parts, ENDED));
    to = put_double(to, ended);
    to = put(to, PyTuple_GET_ITEM(parts, TOKENS));
    to = put_tokens(to, counts);
    to = put(to, PyTuple_GET_ITEM(parts, THEIRS));
    to = put_text(to, theirs, theirs_size);
    if (_PyBytes_Resize(&out, (Py_ssize_t)(to - (unsigned char *)PyBytes_AS_STRING(out))) < 0) {
        return NULL;
    }
    return out;
}

/* -- the journal ----------------------------------------------------------------------------- */

static uint32_t table[8][256];

/* The tables of CRC-32 as zlib has it (polynomial 0xEDB88320, reflected), eight bytes a step. */
void native_record_begin(void) {
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t value = byte;
        for (int bit = 0; bit < 8; bit++) value = value >> 1 ^ (value & 1 ? 0xEDB88320u : 0);
        table[0][byte] = value;
    }
    for (int step = 1; step < 8; step++) {
        for (int byte = 0; byte < 256; byte++) {
            uint32_t before = table[step - 1][byte];
            table[step][byte] = before >> 8 ^ table[0][before & 0xFF];
        }
    }
}

static uint32_t crc32(uint32_t crc, const unsigned char *at, Py_ssize_t size) {
    crc = ~crc;
    for (; size >= 8; size -= 8, at += 8) {
        crc ^= (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 |
               (uint32_t)at[3] << 24;
        crc = table[7][crc & 0xFF] ^ table[6][crc >> 8 & 0xFF] ^ table[5][crc >> 16 & 0xFF] ^
              table[4][crc >> 24] ^ table[3][at[4]] ^ table[2][at[5]] ^ table[1][at[6]] ^
              table[0][at[7]];
    }
    for (; size > 0; size--) crc = crc >> 8 ^ table[0][(crc ^ *at++) & 0xFF];
    return ~crc;
}

static unsigned char *put_little(unsigned char *to, uint32_t value) {
    for (int i = 0; i < 4; i++) *to++ = (unsigned char)(value >> 8 * i);
    return to;
}

/* frames(records, number, end) -> bytes: the records as segment `number` has them from `end` on. */
PyObject *native_frames(PyObject *module, PyObject *const *args, Py_ssize_t count) {
    unsigned long long number, end;
    Py_ssize_t size = 0;
    PyObject *out;
    unsigned char *to;
    if (count != 3 || !PyList_CheckExact(args[0])) Py_RETURN_NONE;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(args[0]); i++) {
        PyObject *record = PyList_GET_ITEM(args[0], i);
        if (!PyBytes_CheckExact(record) || PyBytes_GET_SIZE(record) > 1 << 20) Py_RETURN_NONE;
        size += PyBytes_GET_SIZE(record) + 8;
    }
    number = PyLong_AsUnsignedLongLongMask(args[1]);
    end = PyLong_AsUnsignedLongLongMask(args[2]);
    if (PyErr_Occurred()) return NULL;
    out = PyBytes_FromStringAndSize(NULL, size);
    if (out == NULL) return NULL;
    to = (unsigned char *)PyBytes_AS_STRING(out);
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(args[0]); i++) {
        PyObject *record = PyList_GET_ITEM(args[0], i);
        uint32_t seed = (uint32_t)(number * 0x9E3779B1u + end);
        to = put_little(to, (uint32_t)PyBytes_GET_SIZE(record));
        to = put_little(
            to, crc32(seed, (At)PyBytes_AS_STRING(record), PyBytes_GET_SIZE(record))
        );
        to = put(to, record);
        end += (unsigned long long)PyBytes_GET_SIZE(record) + 8;
    }
    return out;
}
