/* SPDX-License-Identifier: MIT
 *
 * Random draws, and events made of them in bulk.
 *
 * A draw is a function of (key, counter) alone (splitmix64's output function, Steele et al. 2014), so a
 * loop over counters has no carried state and vectorises. Everything here is integer arithmetic or
 * IEEE + - * / in a fixed order, no libm, no contraction (the extension is compiled with
 * -ffp-contract=off): the same stream on every machine, whatever clone of a loop it picks.
 */
#ifndef COWFAST_DRAWS_H
#define COWFAST_DRAWS_H
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __clang__
#pragma STDC FP_CONTRACT OFF
#endif

/* Wide vectors picked when the module is loaded: needs ifunc (glibc), and no sanitizer in the resolver. */
#if defined(__x86_64__) && defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && \
    ((defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 12) || (defined(__clang__) && __clang_major__ >= 17))
#define CLONES __attribute__((target_clones("default", "arch=x86-64-v3", "arch=x86-64-v4")))
#else
#define CLONES
#endif
#define INLINE static inline __attribute__((always_inline))

#define GAMMA 0x9e3779b97f4a7c15ull
#define SECOND 0xd1b54a32d192ed03ull /* added to a draw before it is mixed into another one */
#define BLOCK 512                    /* events a block: its arrays stay in L1 */
#define SPECIAL 0x80u                /* in the op byte: line number, to be finished one by one */

INLINE uint64_t mix(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}
INLINE uint64_t draw(uint64_t key, uint64_t counter) { return mix(key + (counter + 1) * GAMMA); }
INLINE uint64_t again(uint64_t r) { return mix(r + SECOND); }
/* 0 .. n - 1 from 32 random bits; the most and the least likely differ by n / 2^32 of themselves. */
INLINE uint32_t below(uint32_t r, uint32_t n) { return (uint32_t)(((uint64_t)r * n) >> 32); }

/* ------------------------------------------------------------------ exp2, log2: |error| < 4e-15, branch-free */

INLINE double of_bits(uint64_t b) { double d; memcpy(&d, &b, 8); return d; }
INLINE uint64_t to_bits(double d) { uint64_t b; memcpy(&b, &d, 8); return b; }
#define ROUND 0x1.8p52 /* adding it leaves the nearest integer in the low bits */

INLINE double exp2_(double x) { /* |x| < 1000 */
    double t = x + ROUND, f = (x - (t - ROUND)) * 0.6931471805599453, p = 1.0 / 479001600;
    p = p * f + 1.0 / 39916800; p = p * f + 1.0 / 3628800; p = p * f + 1.0 / 362880; p = p * f + 1.0 / 40320;
    p = p * f + 1.0 / 5040; p = p * f + 1.0 / 720; p = p * f + 1.0 / 120; p = p * f + 1.0 / 24;
    p = p * f + 1.0 / 6; p = p * f + 0.5; p = p * f + 1; p = p * f + 1;
    return of_bits(to_bits(p) + (to_bits(t) << 52));
}
INLINE double log2_(double x) { /* normal, positive */
    const uint64_t half = 0x3fe6a09e667f3bcdull; /* sqrt(1/2): mantissas go from there to sqrt(2) */
    uint64_t b = to_bits(x) - half + 0x3ff0000000000000ull;
    double e = of_bits((b >> 52) | 0x4330000000000000ull) - (0x1p52 + 1023);
    double m = of_bits((b & 0x000fffffffffffffull) + half), z = (m - 1) / (m + 1), w = z * z, p = 1.0 / 21;
    p = p * w + 1.0 / 19; p = p * w + 1.0 / 17; p = p * w + 1.0 / 15; p = p * w + 1.0 / 13; p = p * w + 1.0 / 11;
    p = p * w + 1.0 / 9; p = p * w + 1.0 / 7; p = p * w + 1.0 / 5; p = p * w + 1.0 / 3; p = p * w + 1;
    return e + z * p * 2.885390081777926815;
}

/* ------------------------------------------------------------------ Zipf, any size
 * Rejection-inversion (Hoermann & Derflinger 1996): P(rank k of 1 .. n) ~ k^-s, s >= 0. An exponent nearer
 * than 1e-6 to 1 is taken as 1. Ranks are spread over the pages by a multiplication modulo n. */

typedef struct {
    double s, one_minus, inverse; /* exponent, 1 - s, 1 / (1 - s) */
    double low, span;             /* the area is low + u * span */
    double quick;                 /* k - y below it: accepted without another look */
    double n, over_n, spread;     /* ranks, 1 / n, multiplier (coprime to n) */
} zipf_t;

INLINE double zipf_h(double s, double x) { return exp2_(-s * log2_(x)); }
INLINE double zipf_area(const zipf_t *z, double x) {
    return z->one_minus == 0 ? log2_(x) * 0.6931471805599453 : exp2_(z->one_minus * log2_(x)) * z->inverse;
}
INLINE double zipf_inverse(const zipf_t *z, double u) {
    return z->one_minus == 0 ? exp2_(u * 1.4426950408889634) : exp2_(z->inverse * log2_(z->one_minus * u));
}
INLINE double zipf_unit(uint64_t r) { return of_bits((r >> 12) | 0x3ff0000000000000ull) - 1; }
INLINE double zipf_nearest(const zipf_t *z, double y) {
    double k = (y + ROUND) - ROUND;
    k = k < 1 ? 1 : k;
    return k > z->n ? z->n : k;
}
INLINE uint32_t zipf_page(const zipf_t *z, double k) { /* (k - 1) * spread mod n; all products below 2^52 are exact */
    double x = (k - 1) * z->spread, q = (x * z->over_n + ROUND) - ROUND, m = x - q * z->n;
    return (uint32_t)(int32_t)(m + (m < 0 ? z->n : 0));
}
INLINE uint32_t zipf_draw(const zipf_t *z, uint64_t r) {
    for (;; r = again(r)) {
        double u = z->low + zipf_unit(r) * z->span, y = zipf_inverse(z, u), k = zipf_nearest(z, y);
        if (k - y <= z->quick || u >= zipf_area(z, k + 0.5) - zipf_h(z->s, k)) return zipf_page(z, k);
    }
}
static uint32_t gcd_(uint32_t a, uint32_t b) { while (b) { uint32_t c = a % b; a = b; b = c; } return a; }
/* A multiplier near n / golden ratio that visits all of 0 .. n - 1. */
static uint32_t spread_of(uint32_t n) {
    uint32_t a = (uint32_t)(n * 0.6180339887498949) | 1;
    while (gcd_(a, n) != 1) a++;
    return a;
}
static void zipf_init(zipf_t *z, uint32_t n, double s, uint32_t spread) {
    double away = 1 - s;
    z->s = s;
    z->one_minus = away < 1e-6 && away > -1e-6 ? 0 : away;
    z->inverse = z->one_minus == 0 ? 1 : 1 / z->one_minus;
    z->n = n; z->over_n = 1.0 / n; z->spread = spread;
    z->low = zipf_area(z, n + 0.5);
    z->span = zipf_area(z, 1.5) - 1 - z->low;
    z->quick = 2 - zipf_inverse(z, zipf_area(z, 2.5) - zipf_h(s, 2));
}

/* ------------------------------------------------------------------ bulk
 * Lines of a mix that differ only in what they do: one draw gives pid, page and line. heads[] are the first
 * words of an event (op | flags << 8); the line is found by adding up differences, without a branch. */

typedef struct {
    uint32_t lines, special;           /* how many; is any of them to be finished one by one */
    uint32_t pid, pids, page, pages;
    uint32_t limits[66], heads[66];    /* line i begins at limits[i] of 2^32; behind the last one heads repeat it */
} bulk_t;

/* The same of the first word of an event_t: op, flags, pid. */
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define HEAD(h) ((h) << 24 | ((h) & 0xff00) << 8)
#define PID(pid) (pid)
#else
#define HEAD(h) (h)
#define PID(pid) ((pid) << 16)
#endif
typedef uint32_t word_t __attribute__((may_alias, aligned(1))); /* an event is three: head, page, arg */

/* Of one 32-bit word: the pid in the first event word, and the fraction that is left to choose the line. */
INLINE void bulk_pid(const bulk_t *b, uint32_t word, uint32_t *head, uint32_t *rest) {
    uint64_t q = (uint64_t)word * b->pids;
    *head = HEAD(b->heads[0]) + PID((uint32_t)(q >> 32) + b->pid);
    *rest = (uint32_t)q;
}
INLINE void bulk_store(const bulk_t *b, size_t n, uint32_t *head, const uint32_t *rest, const uint32_t *page, word_t *out) {
    uint32_t limit, step, next, more;
    for (uint32_t k = 1;; k += 2) { /* lines two at a time, the last two while storing; tables are padded with the last line */
        limit = b->limits[k], step = HEAD(b->heads[k]) - HEAD(b->heads[k - 1]);
        next = b->limits[k + 1], more = HEAD(b->heads[k + 1]) - HEAD(b->heads[k]);
        if (k + 2 >= b->lines) break;
        for (size_t j = 0; j < n; j++) head[j] += (rest[j] >= limit ? step : 0) + (rest[j] >= next ? more : 0);
    }
    for (size_t j = 0; j < n; j++) {
        out[3 * j] = head[j] + (rest[j] >= limit ? step : 0) + (rest[j] >= next ? more : 0);
        out[3 * j + 1] = page[j];
        out[3 * j + 2] = 0;
    }
}

CLONES static void bulk_uniform(const bulk_t *bulk, uint64_t key, uint64_t counter, size_t n, word_t *out) {
    const bulk_t b = *bulk;
    uint32_t head[BLOCK], rest[BLOCK], page[BLOCK];
    for (size_t done = 0; done < n; done += BLOCK) {
        size_t m = n - done < BLOCK ? n - done : BLOCK;
        uint64_t from = key + (counter + done + 1) * GAMMA;
        for (size_t j = 0; j < m; j++) {
            uint64_t r = mix(from + j * GAMMA);
            bulk_pid(&b, (uint32_t)r, head + j, rest + j);
            page[j] = below((uint32_t)(r >> 32), b.pages) + b.page;
        }
        bulk_store(&b, m, head, rest, page, out + 3 * done);
    }
}

/* Ranks of Zipf draws, as pages, from draws at from, from + GAMMA, ... */
INLINE void zipf_block(const zipf_t z, uint64_t from, size_t n, uint32_t *page) {
    double y[BLOCK];
    uint32_t late[BLOCK];
    size_t refused = 0;
    for (size_t j = 0; j < n; j++) y[j] = z.low + zipf_unit(mix(from + j * GAMMA)) * z.span;
    if (z.one_minus == 0)
        for (size_t j = 0; j < n; j++) y[j] = exp2_(y[j] * 1.4426950408889634);
    else
        for (size_t j = 0; j < n; j++) y[j] = exp2_(z.inverse * log2_(z.one_minus * y[j]));
    for (size_t j = 0; j < n; j++) {
        double k = zipf_nearest(&z, y[j]);
        late[j] = !(k - y[j] <= z.quick);
        page[j] = zipf_page(&z, k);
    }
    for (size_t j = 0; j < n; j++) { /* where the few are that need the full test, without a branch */
        uint32_t is = late[j];
        late[refused] = (uint32_t)j;
        refused += is;
    }
    for (size_t i = 0; i < refused; i++) page[late[i]] = zipf_draw(&z, mix(from + late[i] * GAMMA));
}
#define BUFFER 256
CLONES static void zipf_buffer(const zipf_t *z, uint64_t key, uint64_t counter, uint32_t *page) {
    zipf_block(*z, key + (counter + 1) * GAMMA, BUFFER, page);
}

CLONES static void bulk_zipf(const bulk_t *bulk, const zipf_t *z, uint64_t key, uint64_t counter, size_t n, word_t *out) {
    const bulk_t b = *bulk;
    uint32_t head[BLOCK], rest[BLOCK], page[BLOCK];
    for (size_t done = 0; done < n; done += BLOCK) {
        size_t m = n - done < BLOCK ? n - done : BLOCK;
        uint64_t from = key + (counter + done + 1) * GAMMA;
        zipf_block(*z, from, m, page);
        for (size_t j = 0; j < m; j++) {
            bulk_pid(&b, (uint32_t)again(mix(from + j * GAMMA)), head + j, rest + j);
            page[j] += b.page;
        }
        bulk_store(&b, m, head, rest, page, out + 3 * done);
    }
}
#endif
