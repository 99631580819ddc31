/* Large pages for what Python allocates. Its arenas are a megabyte each, mapped one by one, and so
 * lie on pages of 4 KiB: a service walks over thousands of them, and finding them anew costs about a
 * tenth of a small request where memory is virtual twice (docs/decisions/0023). Two arenas to a large
 * page; a page that has none any more goes back to the system. Linux alone. */

#include "native.h"

#ifdef __linux__

#include <pthread.h>
#include <sys/mman.h>

#define PAGE_BYTES ((size_t)2 << 20)
#define PAGES_MAX 4096 /* further arenas are mapped as ever */

typedef struct {
    char *start;
    uint32_t taken; /* a bit for each arena in it */
} Page;

static PyObjectArenaAllocator before;
static size_t arena_bytes; /* of all arenas that lie on our pages; 0: none yet */
static Page pages[PAGES_MAX];
static int count;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* interpreters may have a GIL each */

static uint32_t whole(void) { return ((uint32_t)1 << (PAGE_BYTES / arena_bytes)) - 1; }

/* Map a page where one can lie, and nothing around it. NULL: there is no memory. */
static char *map_page(void) {
    char *raw = mmap(NULL, 2 * PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *start, *end;
    if (raw == MAP_FAILED) return NULL;
    start = (char *)(((uintptr_t)raw + PAGE_BYTES - 1) & ~(uintptr_t)(PAGE_BYTES - 1));
    end = start + PAGE_BYTES;
    if (start > raw) munmap(raw, (size_t)(start - raw));
    if (end < raw + 2 * PAGE_BYTES) munmap(end, (size_t)(raw + 2 * PAGE_BYTES - end));
    madvise(start, PAGE_BYTES, MADV_HUGEPAGE); /* where the system has none, it is a page as ever */
    return start;
}

static void *take(Page *page) {
    for (uint32_t place = 0;; place++) {
        if (!(page->taken & ((uint32_t)1 << place))) {
            page->taken |= (uint32_t)1 << place;
            return page->start + place * arena_bytes;
        }
    }
}

static void *arena_alloc(void *context, size_t size) {
    void *found = NULL;
    /* At most sixteen to a page: `taken` has a bit for each, and `whole` needs one more. */
    if (size < PAGE_BYTES / 16 || PAGE_BYTES % size != 0) return before.alloc(before.ctx, size);
    pthread_mutex_lock(&lock);
    if (arena_bytes == 0) arena_bytes = size;
    if (arena_bytes == size) {
        for (int i = 0; i < count && found == NULL; i++) {
            if (pages[i].taken != whole()) found = take(&pages[i]);
        }
        if (found == NULL && count < PAGES_MAX && (pages[count].start = map_page()) != NULL) {
            pages[count].taken = 0;
            found = take(&pages[count++]);
        }
    }
    pthread_mutex_unlock(&lock);
    return found != NULL ? found : before.alloc(before.ctx, size);
}

static void arena_free(void *context, void *arena, size_t size) {
    char *start = (char *)((uintptr_t)arena & ~(uintptr_t)(PAGE_BYTES - 1)), *gone = NULL;
    int place = -1;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < count && place < 0; i++) {
        if (pages[i].start == start) place = i;
    }
    if (place >= 0) {
        pages[place].taken &= ~((uint32_t)1 << ((size_t)((char *)arena - start) / arena_bytes));
        if (pages[place].taken == 0) {
            gone = start;
            pages[place] = pages[--count];
        }
    }
    pthread_mutex_unlock(&lock);
    if (place < 0) before.free(before.ctx, arena, size); /* from before, or one too many */
    if (gone != NULL) munmap(gone, PAGE_BYTES);
}

/* arenas() -> True: from now on arenas lie on large pages, for as long as the process lives */
PyObject *native_arenas(PyObject *module, PyObject *const *args, Py_ssize_t argc) {
    PyObjectArenaAllocator own = {NULL, arena_alloc, arena_free};
    if (argc != 0) Py_RETURN_NONE;
    if (before.alloc == NULL) {
        PyObject_GetArenaAllocator(&before);
        PyObject_SetArenaAllocator(&own);
    }
    Py_RETURN_TRUE;
}

#else

PyObject *native_arenas(PyObject *module, PyObject *const *args, Py_ssize_t argc) { Py_RETURN_NONE; }

#endif
