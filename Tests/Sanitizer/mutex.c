// Swift's Mutex waits, and wakes who waits, in a library that is not compiled for the thread sanitizer, which then takes a
// lock that was handed over for none. Loaded before that library, this tells it; programs without the sanitizer ignore it.
// Source of the names: `nm -D` of libswiftSynchronization.so, Swift 6.3.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>

__attribute__((weak)) void __tsan_acquire(void *address);
__attribute__((weak)) void __tsan_release(void *address);

#define LOCK "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define UNLOCK "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"
#define METHOD __attribute__((swiftcall))
#define SELF __attribute__((swift_context)) void *self

typedef METHOD void (*Lock)(uint32_t thread, SELF);
typedef METHOD void (*Unlock)(SELF);

METHOD void lock(uint32_t thread, SELF) __asm__(LOCK);
METHOD void unlock(SELF) __asm__(UNLOCK);

static void *original(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (!found) abort();
    return found;
}

METHOD void lock(uint32_t thread, SELF) {
    ((Lock)original(LOCK))(thread, self);
    if (__tsan_acquire) __tsan_acquire(self);
}

METHOD void unlock(SELF) {
    if (__tsan_release) __tsan_release(self);
    ((Unlock)original(UNLOCK))(self);
}
