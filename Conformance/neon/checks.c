// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#include "checks.h"

#include <stdarg.h>

enum { FENCE = 16 };
static const float mark = -1.2345e30f;
static char name[256];
static int open_check, good, passed, failed;
static uint64_t state = 20261121;

static uint64_t next(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

int64_t below(int64_t bound) { return (int64_t)(next() >> 1) % bound; }

void *room(size_t count) {
    void *made = aligned_alloc(64, (count + 127) / 64 * 64);
    if (!made) exit(2);
    memset(made, 0, (count + 127) / 64 * 64);
    return made;
}

float *floats(int64_t n) {
    float *x = room((size_t)n * 4);
    for (int64_t i = 0; i < n; i++) x[i] = (float)(next() >> 40) * 0x1p-23f - 1;
    return x;
}

float *output(int64_t n) {
    float *x = room((size_t)(n + 2 * FENCE) * 4);
    for (int64_t i = 0; i < n + 2 * FENCE; i++) x[i] = mark;
    for (int64_t i = 0; i < n; i++) x[FENCE + i] = 0.25f;
    return x + FENCE;
}

uint8_t *bytes(int64_t n) {
    uint8_t *x = room((size_t)n);
    for (int64_t i = 0; i < n; i++) x[i] = (uint8_t)(next() >> 33);
    return x;
}

static void end(void) {
    if (!open_check) return;
    if (good) passed++;
    else failed++;
    open_check = 0;
}

void check(const char *format, ...) {
    end();
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(name, sizeof name, format, arguments);
    va_end(arguments);
    open_check = good = 1;
}

void holds(int condition) {
    if (!condition && good) {
        good = 0;
        printf("FAILED %s\n", name);
    }
}

void same(const float *got, const float *wanted, int64_t n, float tolerance) {
    float worst = 0;
    int64_t at = 0;
    for (int64_t i = 0; i < n; i++) {
        if (got[i] == wanted[i] || (got[i] != got[i] && wanted[i] != wanted[i])) continue;
        float difference = fabsf(got[i] - wanted[i]) / (1 + fabsf(wanted[i]));
        if (!(difference <= worst)) {
            worst = difference;
            at = i;
        }
    }
    int fences = 1;
    for (int i = 1; i <= FENCE; i++) fences &= got[-i] == mark && got[n - 1 + i] == mark;
    if ((!(worst <= tolerance) || !fences) && good)
        printf(
            "%s: %g for %g at %lld of %lld%s\n", name, (double)got[at], (double)wanted[at],
            (long long)at, (long long)n, fences ? "" : ", fences broken");
    holds(worst <= tolerance && fences);
}

void equal(const void *got, const void *wanted, int64_t n) {
    holds(memcmp(got, wanted, (size_t)n) == 0);
}

void fast(void) { martlet_kernels_force(MARTLET_LEVEL_NEON); }
void plain(void) { martlet_kernels_force(MARTLET_LEVEL_REFERENCE); }

// With an argument, on a machine without the level: the reference takes its place.
int main(int count, char **arguments) {
    (void)arguments;
    if (count > 1) {
        check("without dot products the reference is the level");
        fast();
        holds(martlet_kernels_level() == MARTLET_LEVEL_REFERENCE);
        check_products();
        end();
        return failed > 0;
    }
    check("this machine has the level");
    fast();
    holds(martlet_kernels_level() == MARTLET_LEVEL_NEON);
    check("a level of other machines stands for this one's own");
    holds(martlet_kernels_force(MARTLET_LEVEL_AVX2) == MARTLET_LEVEL_NEON);
    check_products();
    check_narrow_products();
    check_images();
    check_rows();
    check_elements();
    check("the peak counts its operations");
    fast();
    holds(martlet_peak_f32(10) == 10 * 16 * 4 * 2);
    end();
    printf("%d passed, %d failed\n", passed, failed);
    return failed > 0;
}
