// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#include "../dispatch/internal.h"

typedef struct {
    const void *x;
    void *y;
    int64_t *indices;
    int64_t n, inner, k;
    int32_t smallest, last, product, exclusive, reverse;
} lane_job;

// NaN counts as larger than every number.
#define ABOVE(A, B) ((A) > (B) || ((A) != (A) && (B) == (B)))
#define BELOW(A, B) ((A) < (B) || ((A) != (A) && (B) == (B)))

#define LANES(SUFFIX, TYPE, WIDE)                                                              \
    static void arg_##SUFFIX(const lane_job *j, int64_t o, int64_t i) {                        \
        const TYPE *x = (const TYPE *)j->x + o * j->n * j->inner + i;                          \
        int64_t best = 0;                                                                      \
        for (int64_t p = 1; p < j->n; p++) {                                                   \
            TYPE v = x[p * j->inner], b = x[best * j->inner];                                  \
            int better = j->smallest ? BELOW(v, b) : ABOVE(v, b);                              \
            if (better || (j->last && v == b)) best = p;                                       \
        }                                                                                      \
        j->indices[o * j->inner + i] = best;                                                   \
    }                                                                                          \
    static void scan_##SUFFIX(const lane_job *j, int64_t o, int64_t i) {                       \
        const TYPE *x = (const TYPE *)j->x + o * j->n * j->inner + i;                          \
        TYPE *y = (TYPE *)j->y + o * j->n * j->inner + i;                                      \
        WIDE sum = j->product ? 1 : 0;                                                         \
        for (int64_t p = 0; p < j->n; p++) {                                                   \
            int64_t at = (j->reverse ? j->n - 1 - p : p) * j->inner;                           \
            WIDE v = (WIDE)x[at], before = sum;                                                \
            sum = j->product ? sum * v : sum + v;                                              \
            y[at] = (TYPE)(j->exclusive ? before : sum);                                       \
        }                                                                                      \
    }                                                                                          \
    /* The heap's root is the worst of the kept ones; ties keep the lower index. */            \
    static int worse_##SUFFIX(const lane_job *j, TYPE a, int64_t ia, TYPE b, int64_t ib) {     \
        if (j->smallest ? ABOVE(a, b) : BELOW_NAN(a, b)) return 1;                             \
        if (j->smallest ? ABOVE(b, a) : BELOW_NAN(b, a)) return 0;                             \
        return ia > ib;                                                                        \
    }                                                                                          \
    static void sift_##SUFFIX(const lane_job *j, TYPE *v, int64_t *at, int64_t p, int64_t n) { \
        int64_t s = j->inner;                                                                  \
        for (;;) {                                                                             \
            int64_t c = 2 * p + 1;                                                             \
            if (c >= n) return;                                                                \
            if (c + 1 < n &&                                                                   \
                worse_##SUFFIX(j, v[(c + 1) * s], at[(c + 1) * s], v[c * s], at[c * s]))       \
                c++;                                                                           \
            if (!worse_##SUFFIX(j, v[c * s], at[c * s], v[p * s], at[p * s])) return;          \
            TYPE t = v[c * s];                                                                 \
            v[c * s] = v[p * s];                                                               \
            v[p * s] = t;                                                                      \
            int64_t u = at[c * s];                                                             \
            at[c * s] = at[p * s];                                                             \
            at[p * s] = u;                                                                     \
            p = c;                                                                             \
        }                                                                                      \
    }                                                                                          \
    static void top_##SUFFIX(const lane_job *j, int64_t o, int64_t i) {                        \
        int64_t s = j->inner;                                                                  \
        const TYPE *x = (const TYPE *)j->x + o * j->n * s + i;                                 \
        TYPE *v = (TYPE *)j->y + o * j->k * s + i;                                             \
        int64_t *at = j->indices + o * j->k * s + i;                                           \
        for (int64_t p = 0; p < j->k; p++) {                                                   \
            v[p * s] = x[p * s];                                                               \
            at[p * s] = p;                                                                     \
        }                                                                                      \
        for (int64_t p = j->k / 2 - 1; p >= 0; p--) sift_##SUFFIX(j, v, at, p, j->k);          \
        for (int64_t p = j->k; p < j->n && j->k; p++)                                          \
            if (worse_##SUFFIX(j, v[0], at[0], x[p * s], p)) {                                 \
                v[0] = x[p * s];                                                               \
                at[0] = p;                                                                     \
                sift_##SUFFIX(j, v, at, 0, j->k);                                              \
            }                                                                                  \
        for (int64_t p = j->k - 1; p > 0; p--) {                                               \
            TYPE t = v[p * s];                                                                 \
            v[p * s] = v[0];                                                                   \
            v[0] = t;                                                                          \
            int64_t u = at[p * s];                                                             \
            at[p * s] = at[0];                                                                 \
            at[0] = u;                                                                         \
            sift_##SUFFIX(j, v, at, 0, p);                                                     \
        }                                                                                      \
    }
#define BELOW_NAN(A, B) ((A) < (B) || ((A) == (A) && (B) != (B)))

LANES(f32, float, double)
LANES(f64, double, double)
LANES(i8, int8_t, uint64_t)
LANES(i16, int16_t, uint64_t)
LANES(i32, int32_t, uint64_t)
LANES(i64, int64_t, uint64_t)
LANES(u8, uint8_t, uint64_t)
LANES(u16, uint16_t, uint64_t)
LANES(u32, uint32_t, uint64_t)
LANES(u64, uint64_t, uint64_t)

typedef void (*lane)(const lane_job *job, int64_t outer, int64_t inner);
enum { ARG, SCAN, TOP };
static const lane lanes[][3] = {
    [MARTLET_F32] = {arg_f32, scan_f32, top_f32}, [MARTLET_F64] = {arg_f64, scan_f64, top_f64},
    [MARTLET_I8] = {arg_i8, scan_i8, top_i8},     [MARTLET_I16] = {arg_i16, scan_i16, top_i16},
    [MARTLET_I32] = {arg_i32, scan_i32, top_i32}, [MARTLET_I64] = {arg_i64, scan_i64, top_i64},
    [MARTLET_U8] = {arg_u8, scan_u8, top_u8},     [MARTLET_U16] = {arg_u16, scan_u16, top_u16},
    [MARTLET_U32] = {arg_u32, scan_u32, top_u32}, [MARTLET_U64] = {arg_u64, scan_u64, top_u64},
    [MARTLET_BOOL] = {arg_u8, NULL, top_u8},
};

typedef struct {
    lane function;
    lane_job *job;
    int64_t count;
} lane_run;

static void lanes_part(void *context, int32_t part, int32_t parts) {
    const lane_run *r = context;
    int64_t from, to;
    martlet_share(r->count, part, parts, &from, &to);
    for (int64_t p = from; p < to; p++)
        r->function(r->job, p / r->job->inner, p % r->job->inner);
}

static int32_t run_lanes(
    martlet_dtype type, int kind, lane_job *job, int64_t outer, int32_t threads) {
    lane function = (uint32_t)type <= MARTLET_BOOL ? lanes[type][kind] : NULL;
    if (!function) return -1;
    lane_run r = {function, job, outer * job->inner};
    martlet_parallel_for(
        martlet_parts(r.count * job->n * 2, r.count, threads), threads, lanes_part, &r);
    return 0;
}

int32_t martlet_arg_reduce(
    martlet_dtype type, int32_t smallest, int32_t last, const void *x, int64_t *y, int64_t outer,
    int64_t n, int64_t inner, int32_t threads) {
    lane_job j = {.x = x, .indices = y, .n = n, .inner = inner, .smallest = smallest, .last = last};
    return run_lanes(type, ARG, &j, outer, threads);
}

int32_t martlet_cumulate(
    martlet_dtype type, int32_t product, int32_t exclusive, int32_t reverse, const void *x,
    void *y, int64_t outer, int64_t n, int64_t inner, int32_t threads) {
    lane_job j = {.x = x, .y = y, .n = n, .inner = inner, .product = product,
                  .exclusive = exclusive, .reverse = reverse};
    return run_lanes(type, SCAN, &j, outer, threads);
}

int32_t martlet_top_k(
    martlet_dtype type, int32_t smallest, int64_t k, const void *x, void *values,
    int64_t *indices, int64_t outer, int64_t n, int64_t inner, int32_t threads) {
    if (k < 0 || k > n) return -1;
    lane_job j = {.x = x, .y = values, .indices = indices, .n = n, .inner = inner, .k = k,
                  .smallest = smallest};
    return run_lanes(type, TOP, &j, outer, threads);
}
