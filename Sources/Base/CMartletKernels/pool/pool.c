// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// A caller publishes its loop in one of a few static slots; workers join a slot while it is open
// and take parts from its counter. One word per slot (open bit, thread limit, threads joined) makes
// joining a single compare-and-swap, so a late worker can never touch a finished loop.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "MartletThreads.h"

enum { SLOTS = 16, MAX_THREADS = 512, SPIN_NANOSECONDS = 30000 };
static const uint32_t OPEN = 1u << 31;

typedef struct {
    _Alignas(64) _Atomic uint32_t state;  // OPEN | limit << 15 | joined
    _Atomic uint32_t left;                // workers that have joined and gone
    _Atomic uint32_t waiting;             // the caller sleeps on left
    _Atomic uint32_t owned;
    _Alignas(64) _Atomic int32_t next;
    martlet_part function;
    void *context;
    int32_t parts;
} slot;

static slot slots[SLOTS];
static _Alignas(64) _Atomic uint32_t epoch;
static _Alignas(64) _Atomic uint32_t sleepers;
static _Atomic uint32_t stopping;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int32_t requested;
static int32_t size = 1;
static pthread_t workers[MAX_THREADS];
static __thread int32_t inside;
static __thread int32_t own_slot;

static void futex_wait(_Atomic uint32_t *word, uint32_t value) {
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *word, int32_t count) {
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}

static inline void relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield");
#endif
}

static int64_t nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

// Spins until *word differs from value; false when the time is over first.
static int spin(_Atomic uint32_t *word, uint32_t value) {
    int64_t end = nanoseconds() + SPIN_NANOSECONDS;
    do {
        for (int i = 0; i < 32; i++) {
            if (atomic_load_explicit(word, memory_order_acquire) != value) return 1;
            relax();
        }
    } while (nanoseconds() < end);
    return 0;
}

static void take_parts(slot *s, int32_t number) {
    int32_t saved = own_slot;
    own_slot = number;
    inside++;
    martlet_part function = s->function;
    void *context = s->context;
    int32_t parts = s->parts;
    for (;;) {
        int32_t part = atomic_fetch_add_explicit(&s->next, 1, memory_order_relaxed);
        if (part >= parts) break;
        function(context, part, parts);
    }
    inside--;
    own_slot = saved;
}

static int has_parts(slot *s) {
    // parts is read only by those who joined; a slot with all parts taken is closed soon.
    return (atomic_load_explicit(&s->state, memory_order_acquire) & OPEN) != 0;
}

static void work_on(slot *s) {
    uint32_t state = atomic_load_explicit(&s->state, memory_order_acquire);
    for (;;) {
        uint32_t limit = (state >> 15) & 0x7fff, joined = state & 0x7fff;
        if (!(state & OPEN) || joined >= limit) return;
        if (atomic_compare_exchange_weak_explicit(
                &s->state, &state, state + 1, memory_order_acq_rel, memory_order_acquire)) {
            take_parts(s, (int32_t)joined + 1);
            atomic_fetch_add_explicit(&s->left, 1, memory_order_seq_cst);
            if (atomic_load_explicit(&s->waiting, memory_order_seq_cst)) futex_wake(&s->left, 1);
            return;
        }
    }
}

static void *worker(void *unused) {
    (void)unused;
    for (;;) {
        uint32_t seen = atomic_load_explicit(&epoch, memory_order_acquire);
        if (atomic_load(&stopping)) return NULL;
        for (int i = 0; i < SLOTS; i++)
            if (has_parts(&slots[i])) work_on(&slots[i]);
        if (spin(&epoch, seen)) continue;
        atomic_fetch_add_explicit(&sleepers, 1, memory_order_seq_cst);
        futex_wait(&epoch, seen);
        atomic_fetch_sub_explicit(&sleepers, 1, memory_order_seq_cst);
    }
}

static void stop(void) {
    atomic_store(&stopping, 1);
    atomic_fetch_add(&epoch, 1);
    futex_wake(&epoch, INT_MAX);
    // exit() from inside a part cannot wait for its own thread.
    if (inside) return;
    for (int32_t i = 1; i < size; i++) pthread_join(workers[i], NULL);
}

static void start(void) {
    int32_t threads = requested;
    if (threads <= 0) {
        cpu_set_t set;
        threads = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    }
    if (threads > MAX_THREADS) threads = MAX_THREADS;
    // Workers take no signals: those are for the threads that asked for them.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int32_t running = 1;
    while (running < threads && pthread_create(&workers[running], NULL, worker, NULL) == 0)
        running++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    size = running;
    atexit(stop);
}

int32_t martlet_pool_start(int32_t threads) {
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&lock);
    requested = threads;
    pthread_once(&once, start);
    pthread_mutex_unlock(&lock);
    return size;
}

int32_t martlet_pool_size(void) {
    pthread_once(&once, start);
    return size;
}

int32_t martlet_pool_threads(int32_t threads) {
    int32_t all = martlet_pool_size();
    return threads <= 0 || threads > all ? all : threads;
}

int32_t martlet_parallel_slot(void) { return own_slot; }

static void run_serially(int32_t parts, martlet_part function, void *context) {
    int32_t saved = own_slot;
    own_slot = 0;
    inside++;
    for (int32_t part = 0; part < parts; part++) function(context, part, parts);
    inside--;
    own_slot = saved;
}

static slot *claim(void) {
    for (int i = 0; i < SLOTS; i++) {
        uint32_t expected = 0;
        if (atomic_load_explicit(&slots[i].owned, memory_order_relaxed) == 0 &&
            atomic_compare_exchange_strong_explicit(
                &slots[i].owned, &expected, 1, memory_order_acquire, memory_order_relaxed))
            return &slots[i];
    }
    return NULL;
}

void martlet_parallel_for(int32_t parts, int32_t threads, martlet_part function, void *context) {
    if (parts <= 0) return;
    int32_t limit = parts == 1 || inside ? 1 : martlet_pool_threads(threads);
    if (limit > parts) limit = parts;
    slot *s = limit > 1 && !atomic_load_explicit(&stopping, memory_order_relaxed) ? claim() : NULL;
    if (s == NULL) {
        run_serially(parts, function, context);
        return;
    }
    s->function = function;
    s->context = context;
    s->parts = parts;
    atomic_store_explicit(&s->next, 0, memory_order_relaxed);
    atomic_store_explicit(&s->left, 0, memory_order_relaxed);
    atomic_store_explicit(&s->waiting, 0, memory_order_relaxed);
    atomic_store_explicit(
        &s->state, OPEN | (uint32_t)(limit - 1) << 15, memory_order_release);
    atomic_fetch_add_explicit(&epoch, 1, memory_order_seq_cst);
    if (atomic_load_explicit(&sleepers, memory_order_seq_cst)) futex_wake(&epoch, limit - 1);
    take_parts(s, 0);
    uint32_t joined =
        atomic_fetch_and_explicit(&s->state, ~OPEN, memory_order_acq_rel) & 0x7fff;
    for (;;) {
        uint32_t left = atomic_load_explicit(&s->left, memory_order_acquire);
        if (left == joined) break;
        if (spin(&s->left, left)) continue;
        atomic_store_explicit(&s->waiting, 1, memory_order_seq_cst);
        left = atomic_load_explicit(&s->left, memory_order_seq_cst);
        if (left != joined) futex_wait(&s->left, left);
    }
    atomic_store_explicit(&s->owned, 0, memory_order_release);
}
