// Memory whose edges are watched: by pages that nobody may touch, or, where the compiler puts a sanitizer in, by that.
// KERNEL_MEMORY=end puts the last byte before such a page (the default), KERNEL_MEMORY=start the first one after it.
#ifndef KERNEL_MEMORY_H
#define KERNEL_MEMORY_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif

static inline size_t whole_pages(size_t bytes) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return (bytes + page - 1) / page * page;
}

/// Bytes of 0xff, to be given back with `release`.
static inline void *memory(size_t bytes) {
    uint8_t *p;
#ifdef SANITIZED
    p = malloc(bytes);
    if (!p) abort();
#else
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), inside = whole_pages(bytes);
    uint8_t *all = mmap(0, inside + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (all == MAP_FAILED || (inside && mprotect(all + page, inside, PROT_READ | PROT_WRITE))) abort();
    const char *side = getenv("KERNEL_MEMORY");
    p = side && !strcmp(side, "start") ? all + page : all + page + inside - bytes;
#endif
    memset(p, 0xff, bytes);
    return p;
}

static inline void release(void *p, size_t bytes) {
#ifdef SANITIZED
    (void)bytes;
    free(p);
#else
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const uintptr_t start = (uintptr_t)p / page * page;
    munmap((void *)(start - page), whole_pages(bytes) + 2 * page);
#endif
}

/// The next bytes of a file; ends the program if it has fewer.
static inline void *read_from(FILE *file, size_t bytes) {
    void *all = memory(bytes);
    if (fread(all, 1, bytes, file) != bytes) {
        fprintf(stderr, "the file is too short\n");
        exit(1);
    }
    return all;
}

#endif
