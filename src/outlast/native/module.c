/* The Python module of the functions in the other files. */

#include "native.h"

#ifndef SOURCE
#define SOURCE ""
#endif

static PyMethodDef methods[] = {
    {"ask", (PyCFunction)(void (*)(void))native_ask, METH_FASTCALL, NULL},
    {"skim", (PyCFunction)(void (*)(void))native_skim, METH_FASTCALL, NULL},
    {"answer", (PyCFunction)(void (*)(void))native_answer, METH_FASTCALL, NULL},
    {"completion", (PyCFunction)(void (*)(void))native_completion, METH_FASTCALL, NULL},
    {"reply", (PyCFunction)(void (*)(void))native_reply, METH_FASTCALL, NULL},
    {"question", (PyCFunction)(void (*)(void))native_question, METH_FASTCALL, NULL},
    {"message", (PyCFunction)(void (*)(void))native_message, METH_FASTCALL, NULL},
    {"carried", (PyCFunction)(void (*)(void))native_carried, METH_FASTCALL, NULL},
    {"receipt", (PyCFunction)(void (*)(void))native_receipt, METH_FASTCALL, NULL},
    {"frames", (PyCFunction)(void (*)(void))native_frames, METH_FASTCALL, NULL},
    {"streamed", (PyCFunction)(void (*)(void))native_streamed, METH_FASTCALL, NULL},
    {"chunks", (PyCFunction)(void (*)(void))native_chunks, METH_FASTCALL, NULL},
    {"pieces", (PyCFunction)(void (*)(void))native_pieces, METH_FASTCALL, NULL},
    {"tap", (PyCFunction)(void (*)(void))native_tap, METH_FASTCALL, NULL},
    {"reads", (PyCFunction)(void (*)(void))native_reads, METH_FASTCALL, NULL},
    {"poll", (PyCFunction)(void (*)(void))native_poll, METH_FASTCALL, NULL},
    {"writer", (PyCFunction)(void (*)(void))native_writer, METH_FASTCALL, NULL},
    {"arenas", (PyCFunction)(void (*)(void))native_arenas, METH_FASTCALL, NULL},
    {"weigh", (PyCFunction)(void (*)(void))native_weigh, METH_FASTCALL, NULL},
    {"learn", (PyCFunction)(void (*)(void))native_learn, METH_FASTCALL, NULL},
    {"chat_begins", (PyCFunction)(void (*)(void))native_chat_begins, METH_FASTCALL, NULL},
    {"chat_ends", (PyCFunction)(void (*)(void))native_chat_ends, METH_FASTCALL, NULL},
    {"messages_begins", (PyCFunction)(void (*)(void))native_messages_begins, METH_FASTCALL, NULL},
    {"messages_ends", (PyCFunction)(void (*)(void))native_messages_ends, METH_FASTCALL, NULL},
    {NULL, NULL, 0, NULL},
};

static int fill(PyObject *module) {
    native_record_begin();
    if (native_tap_begin(module) < 0) return -1;
    if (native_poll_begin(module) < 0 || native_writer_begin(module) < 0) return -1;
    return PyModule_AddStringConstant(module, "SOURCE", SOURCE);
}

static int traverse(PyObject *module, visitproc visit, void *arg) {
    NativeState *state = native_state(module);
    Py_VISIT(state->tap);
    Py_VISIT(state->reads);
    Py_VISIT(state->poll);
    Py_VISIT(state->writer);
    return 0;
}

static int clear(PyObject *module) {
    NativeState *state = native_state(module);
    Py_CLEAR(state->tap);
    Py_CLEAR(state->reads);
    Py_CLEAR(state->append);
    Py_CLEAR(state->poll);
    Py_CLEAR(state->writer);
    return 0;
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, (void *)fill},
#if PY_VERSION_HEX >= 0x030C0000
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "outlast_native", NULL, sizeof(NativeState), methods, slots, traverse, clear, NULL,
};

PyMODINIT_FUNC PyInit_outlast_native(void) { return PyModuleDef_Init(&definition); }
