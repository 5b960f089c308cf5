/*
 * Memory that runs out, for an unmodified program: preloaded (LD_PRELOAD), this makes the program's own allocations
 * fail. A tool of the tests, never installed.
 *
 *     ALLOC_FAULT_NTH    the first own allocation that fails, from 1; 0: none fails, and their number is printed at
 *                        the end
 *     ALLOC_FAULT_HOW    once: only that one fails; forever: it and all later ones fail. Default: once
 *     ALLOC_FAULT_OWN    all: every allocation of the process counts as its own. For experiments by hand: without
 *                        memory some libraries end the process (libconfig), others go on without (nng)
 *
 * Own allocations are malloc, calloc, realloc, strdup and asprintf called from the program's own file, into which our
 * folders are linked. Allocations that libraries make for themselves (libcrypto, mbedTLS, nng, LMDB, libconfig,
 * libprotobuf-c, libsecp256k1, libc) do not fail. Where we give protobuf-c our allocator, its allocations are ours.
 *
 * The first failure is reported on standard error: "alloc_fault: CALL SIZE at OFFSET", which addr2line understands.
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

static atomic_bool begun; /* the fields below are set */
static uintptr_t program_base;
static uintptr_t program_begin; /* the program's code is [begin, end) */
static uintptr_t program_end;
static bool all_own;
static bool forever;
static unsigned long nth;
static atomic_ulong call_count;

/*
 * Finds the real function of this name. ISO C does not let a pointer to data become one to a function, but POSIX does
 * here.
 */
#define REAL(function)                                                                                                 \
    static __typeof__(&(function)) real;                                                                               \
    if (real == NULL) {                                                                                                \
        void *found = dlsym(RTLD_NEXT, #function);                                                                     \
        memcpy(&real, &found, sizeof(real));                                                                           \
    }

/* The program itself is listed first. */
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

/* Decides whether the call fails, and then sets errno. */
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
