// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#include "narrow_product.h"

size_t martlet_gemm_narrow_scratch_bytes(
    martlet_narrow type, int64_t m, int64_t n, int64_t k, int32_t threads) {
    (void)n;
    return martlet_narrow_product_scratch_bytes(type, m, k, 0, 0, threads);
}

void martlet_gemm_narrow(
    martlet_narrow type, const martlet_gemm_f32_args *g, void *scratch, int32_t threads) {
    martlet_narrow_product p = {
        .m = g->m, .n = g->n,
        .left = {.convert = martlet_left_floats, .type = type, .k = g->k, .x = g->a,
                 .row_stride = g->a_row_stride},
        .b = martlet_narrow_layout(type, g->k, g->n, g->packed_b),
        .c = g->c, .c_row_stride = g->c_row_stride, .alpha = g->alpha,
        .epilogue = g->epilogue};
    martlet_narrow_product_run(&p, scratch, threads);
}

// --- Which tiles

const martlet_narrow_table *martlet_narrow_tiles(martlet_narrow type) {
    int bf16 = type == MARTLET_NARROW_BF16;
#if defined(MARTLET_X86)
    martlet_level level = martlet_kernels_level();
    if (martlet_gemm_narrow_is_fast(type))
        return bf16 ? &martlet_bf16_avx512 : &martlet_int8_avx512;
    if (level >= MARTLET_LEVEL_AVX2) return bf16 ? &martlet_bf16_avx2 : &martlet_int8_avx2;
#elif defined(MARTLET_ARM)
    if (martlet_kernels_level() == MARTLET_LEVEL_NEON)
        return bf16 ? &martlet_bf16_neon : &martlet_int8_neon;
#endif
    return bf16 ? &martlet_bf16_plain : &martlet_int8_plain;
}

int32_t martlet_gemm_narrow_is_fast(martlet_narrow type) {
#if defined(MARTLET_X86)
    if (martlet_kernels_level() < MARTLET_LEVEL_AVX512) return 0;
    return type == MARTLET_NARROW_BF16 ? __builtin_cpu_supports("avx512bf16") != 0
                                       : __builtin_cpu_supports("avx512vnni") != 0;
#else
    return type == MARTLET_NARROW_INT8 && martlet_kernels_level() == MARTLET_LEVEL_NEON;
#endif
}
