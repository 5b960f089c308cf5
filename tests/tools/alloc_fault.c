/*
 * Memory that runs out, for a program that does not know it: preloaded (LD_PRELOAD), it makes the program's own allocations fail. A
 * tool of the tests, never installed.
 *
 *   ALLOC_FAULT_NTH    the first own allocation that fails, from 1; 0: none does, and their number is told at the end
 *   ALLOC_FAULT_HOW    once: only that one; forever: it and all after it. Default: once
 *   ALLOC_FAULT_OWN    all: every allocation of the process is its own. For a look by hand: libraries end the process where they
 *                      get no memory (libconfig) or go on without (nng)
 *
 * Own are malloc, calloc, realloc, strdup and asprintf that are called from the program's file itself, which has our rooms linked
 * in. What libraries allocate for themselves (libcrypto, mbedTLS, nng, LMDB, libconfig, libprotobuf-c, libsecp256k1, libc) does
 * not fail; protobuf-c's allocations are made by our allocator where we give it one, and are ours there.
 *
 * The first failure is told on standard error: "alloc_fault: CALL SIZE at OFFSET", which addr2line understands.
 */
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static atomic_bool begun; /* what follows is there */
static uintptr_t program_base;
static uintptr_t program_begin; /* its code, [begin, end) */
static uintptr_t program_end;
static bool all_own;
static bool forever;
static unsigned long nth;
static atomic_ulong call_count;

/* The real function of this name. A pointer to data is not one to a function in ISO C; POSIX says that here it is. */
#define REAL(function)                                                                                                 \
    static __typeof__(&(function)) real;                                                                               \
    if (real == NULL) {                                                                                                \
        void *found = dlsym(RTLD_NEXT, #function);                                                                     \
        memcpy(&real, &found, sizeof(real));                                                                           \
    }

/* The program itself comes first. */
static int find_program(struct dl_phdr_info *info, size_t size, void *context) {
    (void) size;
    (void) context;
    program_base = info->dlpi_addr;
    for (size_t i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_LOAD && (info->dlpi_phdr[i].p_flags & PF_X) != 0) {
            program_begin = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
            program_end = program_begin + info->dlpi_phdr[i].p_memsz;
        }
    return 1;
}

__attribute__((constructor)) static void begin(void) {
    const char *text = getenv("ALLOC_FAULT_NTH");
    const char *how = getenv("ALLOC_FAULT_HOW");
    const char *own = getenv("ALLOC_FAULT_OWN");
    if (text == NULL)
        return;
    nth = strtoul(text, NULL, 10);
    forever = how != NULL && strcmp(how, "forever") == 0;
    all_own = own != NULL && strcmp(own, "all") == 0;
    dl_iterate_phdr(find_program, NULL);
    atomic_store(&begun, true);
}

__attribute__((destructor)) static void end(void) {
    if (atomic_load(&begun) && nth == 0)
        dprintf(STDERR_FILENO, "alloc_fault: %lu calls\n", atomic_load(&call_count));
}

/* Sets errno where it says that the call fails. */
static bool fails(const char *name, size_t size, const void *caller) {
    uintptr_t at = (uintptr_t) caller;
    if (!atomic_load(&begun) || (!all_own && (at < program_begin || at >= program_end)))
        return false;
    unsigned long call = atomic_fetch_add(&call_count, 1) + 1;
    if (nth == 0 || call < nth || (call > nth && !forever))
        return false;
    if (call == nth)
        dprintf(STDERR_FILENO, "alloc_fault: %s %zu at %#lx\n", name, size, (unsigned long) (at - program_base));
    errno = ENOMEM;
    return true;
}

void *malloc(size_t size) {
    REAL(malloc);
    return fails("malloc", size, __builtin_return_address(0)) ? NULL : real(size);
}

void *calloc(size_t count, size_t size) {
    REAL(calloc);
    return fails("calloc", count * size, __builtin_return_address(0)) ? NULL : real(count, size);
}

void *realloc(void *memory, size_t size) {
    REAL(realloc);
    return fails("realloc", size, __builtin_return_address(0)) ? NULL : real(memory, size);
}

char *strdup(const char *text) {
    REAL(strdup);
    return fails("strdup", strlen(text) + 1, __builtin_return_address(0)) ? NULL : real(text);
}

int asprintf(char **out, const char *format, ...) {
    if (fails("asprintf", 0, __builtin_return_address(0))) {
        *out = NULL;
        return -1;
    }
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(out, format, arguments);
    va_end(arguments);
    return length;
}
