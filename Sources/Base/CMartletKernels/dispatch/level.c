// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#include <stdatomic.h>
#include <stdlib.h>

#include "table.h"

#if defined(MARTLET_ARM) && defined(__linux__)
#include <sys/auxv.h>
#endif

static _Atomic int current = -1;

static martlet_level machine_level(void) {
#if defined(MARTLET_X86)
    __builtin_cpu_init();
    int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
               __builtin_cpu_supports("f16c");
    int avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                 __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
    if (avx2 && avx512) return MARTLET_LEVEL_AVX512;
    if (avx2) return MARTLET_LEVEL_AVX2;
#elif defined(__ARM_FEATURE_DOTPROD)
    return MARTLET_LEVEL_NEON;
#elif defined(MARTLET_ARM) && defined(__linux__)
    enum { DOT_PRODUCTS = 1 << 20 };  // HWCAP_ASIMDDP
    if (getauxval(AT_HWCAP) & DOT_PRODUCTS) return MARTLET_LEVEL_NEON;
#endif
    return MARTLET_LEVEL_REFERENCE;
}

static martlet_level wished_level(void) {
    const char *wish = getenv("MARTLET_CPU");
    if (wish && strcmp(wish, "reference") == 0) return MARTLET_LEVEL_REFERENCE;
    if (wish && strcmp(wish, "avx2") == 0) return MARTLET_LEVEL_AVX2;
    return MARTLET_LEVEL_NEON;
}

martlet_level martlet_kernels_level(void) {
    int level = atomic_load_explicit(&current, memory_order_relaxed);
    if (level < 0) level = (int)martlet_kernels_force(wished_level());
    return (martlet_level)level;
}

martlet_level martlet_kernels_force(martlet_level level) {
    martlet_level most = machine_level();
    // x86's levels stand for the machine's own on ARM, and the other way round.
    if (level > most || (most == MARTLET_LEVEL_NEON && level != MARTLET_LEVEL_REFERENCE))
        level = most;
    atomic_store_explicit(&current, (int)level, memory_order_relaxed);
    return level;
}

const martlet_kernel_table *martlet_table(void) {
    switch (martlet_kernels_level()) {
#if defined(MARTLET_X86)
    case MARTLET_LEVEL_AVX512: return &martlet_table_avx512;
    case MARTLET_LEVEL_AVX2: return &martlet_table_avx2;
#elif defined(MARTLET_ARM)
    case MARTLET_LEVEL_NEON: return &martlet_table_neon;
#endif
    default: return &martlet_table_plain;
    }
}

int32_t martlet_dtype_bytes(martlet_dtype type) {
    switch (type) {
    case MARTLET_F64: case MARTLET_I64: case MARTLET_U64: return 8;
    case MARTLET_F32: case MARTLET_I32: case MARTLET_U32: return 4;
    case MARTLET_F16: case MARTLET_BF16: case MARTLET_I16: case MARTLET_U16: return 2;
    default: return 1;
    }
}
