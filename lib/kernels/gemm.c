/* Matrix products: the order of the work, packing and threads. The arithmetic is gemm_tile.c's.
 *
 * K is cut into blocks of at most KC, as equal as can be: the cuts are a function of K alone. Within a block every
 * element of C is one chain of multiply-adds in the order of k; the blocks are added to C in order. Everything below
 * decides only where the numbers lie and who multiplies them, never in which order [Goto 2008]. */
#include "kernels/gemm.h"

#include <pthread.h>
#include <string.h>

#include "base/arena.h"
#include "kernels/flops.h"
#include "kernels/gemm_block.h"

enum {
    KC = 512,           /* deep: a panel of V of 32 columns is 64 KiB and is read along by the prefetcher */
    TILES = 20,         /* register tiles in a block of rows of S */
    V_SHARED = 1 << 20, /* elements of V packed at a time for all threads: 4 MiB */
    PAGE = 4096         /* bytes; addresses so far apart share the sets of a first-level cache */
};

/* A product as S (m x k) times V (k x n), see gemm_block.h. */
typedef struct {
    const rv_gemm *g;
    bool swap;
    int64_t m, n, k;
    const rv_real *s, *v;
    rv_real *c, *pre;
    int64_t s_row, s_col;
    int64_t ldv;
    bool v_trans;
    bool gather_s; /* its rows are copied closer together: they lie whole pages apart, on the same sets of the cache */
    bool direct_v, edge_v; /* V is read where it is; so is the last, narrower panel */
    int64_t row_blocks, k_blocks;
    int64_t nr; /* columns in a panel of V */
} plan;

static int64_t up(int64_t a, int64_t b) { return (a + b - 1) / b; }
static int64_t min(int64_t a, int64_t b) { return a < b ? a : b; }

/* [begin, end) of the i-th of equal blocks. */
static rv_range block(int64_t n, int64_t blocks, int64_t i) { return (rv_range){n * i / blocks, n * (i + 1) / blocks}; }
static int64_t k_blocks(int64_t k) { return k > KC ? up(k, KC) : 1; }

/* Cycles times lanes, roughly: multiplying with whole vectors of n, and rearranging elements. */
static double cost(double m, int64_t n, double k, double moved) {
    const int64_t lanes = rv_k()->lanes; /* a power of two */
    return m * (double)((n + lanes - 1) & -lanes) * k / 2 + moved * 6;
}

/* Blocks of rows, such that each has enough of its own to do for what is copied, and the threads get equal parts. */
static int64_t blocks_of_rows(int64_t m, int64_t panels, int threads) {
    const int64_t mr = rv_k()->tile_rows, tiles = m <= TILES * mr ? TILES : TILES / 2;
    int64_t blocks = up(m, tiles * mr), parts = blocks * panels;
    if (m >= 4 * mr * threads) return up(blocks, threads) * threads; /* no thread copies what another does */
    while (blocks < up(m, mr) && 10 * parts < 9 * threads * up(parts, threads)) parts = ++blocks * panels;
    return blocks;
}

/* The first product of the batch, for so many threads. */
static plan make_plan(const rv_gemm *g, int threads) {
    const double m = (double)g->m, n = (double)g->n, k = (double)g->k;
    plan p = {.g = g, .c = g->c, .pre = g->pre};
    p.k = g->k;
    p.k_blocks = k_blocks(g->k);
    p.nr = 2 * rv_k()->lanes;
    const rv_real *a = g->a, *b = g->packed_b ? NULL : g->b;
    p.swap = b && cost(n, g->m, k, (g->ta ? m * k / 4 : m * k) + m * n * (double)p.k_blocks) <
                      cost(m, g->n, k, g->tb ? n * k : n * k / 4);
    if (p.swap) {
        p.m = g->n, p.n = g->m;
        p.s = b, p.s_row = g->tb ? g->ldb : 1, p.s_col = g->tb ? 1 : g->ldb;
        p.v = a, p.ldv = g->lda, p.v_trans = !g->ta;
    } else {
        p.m = g->m, p.n = g->n;
        p.s = a, p.s_row = g->ta ? 1 : g->lda, p.s_col = g->ta ? g->lda : 1;
        p.v = b, p.ldv = g->ldb, p.v_trans = g->tb;
    }
    const int64_t panels = up(p.n, p.nr);
    p.row_blocks = blocks_of_rows(p.m, panels, threads);
    p.gather_s = panels >= 4 && (size_t)(p.s_row == 1 ? p.s_col : p.s_row) * sizeof *p.s % PAGE == 0;
    p.direct_v = !p.v_trans && p.m <= 2 * rv_k()->tile_rows;
    p.edge_v = rv_k()->masked;
    return p;
}

static plan nth(const plan *first, int64_t batch) {
    plan p = *first;
    const rv_gemm *g = p.g;
    p.s += batch * (p.swap ? g->stride_b : g->stride_a);
    if (p.v) p.v += batch * (p.swap ? g->stride_a : g->stride_b);
    p.c += batch * g->stride_c;
    if (p.pre) p.pre += batch * g->stride_c;
    return p;
}

/* ---- scratch: one per thread, allocated once */

typedef struct {
    rv_real *s, *v;
} scratch;

/* The buffers go with their thread: OpenMP ends threads when fewer are asked for. */
enum { OWN, SHARED, BUFFERS };
static pthread_key_t at_thread_end[BUFFERS];

static void make_keys(void) {
    for (int i = 0; i < BUFFERS; i++)
        if (pthread_key_create(&at_thread_end[i], rv_free)) RV_ASSERT(!"a free thread key");
}

static void free_at_thread_end(int which, void *buffer) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_keys);
    pthread_setspecific(at_thread_end[which], buffer);
}

static _Thread_local rv_real *own_buffer, *shared_buffer;
static _Thread_local int64_t shared_size;
static const int64_t own_s = TILES * 16 * KC + 64,
                     own_v = 32 * KC; /* at most 16 rows in a tile, 32 columns in a panel */

static bool have_own(void) {
    if (own_buffer) return true;
    own_buffer = rv_alloc((size_t)(own_s + own_v) * sizeof *own_buffer);
    free_at_thread_end(OWN, own_buffer);
    return own_buffer;
}

static bool have_shared(int64_t elements) {
    if (elements <= shared_size) return true;
    rv_free(shared_buffer);
    shared_buffer = rv_alloc((size_t)elements * sizeof *shared_buffer);
    free_at_thread_end(SHARED, shared_buffer);
    shared_size = shared_buffer ? elements : 0;
    return shared_buffer;
}

static scratch own_scratch(void) {
    bool have = have_own();
    RV_ASSERT(have && "3 MiB of memory for packing a matrix product");
    return (scratch){own_buffer, own_buffer + own_s};
}

static rv_real *shared_v(int64_t elements) {
    bool have = have_shared(elements);
    RV_ASSERT(have && "4 MiB of memory for packing a matrix product");
    return shared_buffer;
}

rv_status rv_gemm_reserve(void) {
    bool missing = !have_shared(V_SHARED);
#pragma omp parallel num_threads(rv_threads())
    if (!have_own()) __atomic_store_n(&missing, true, __ATOMIC_RELAXED);
    return missing
               ? rv_error(RV_ENOMEM,
                          "out of memory: %d threads need 3 MiB each for packing matrix products; use fewer threads",
                          rv_threads())
               : RV_OK;
}

/* ---- the work */

/* Where the panel of column j begins in the block kr of K of a packed matrix of n columns: block of K after block of K,
 * each panel after panel. */
static int64_t packed_at(int64_t n, rv_range kr, int64_t j) {
    const int64_t nr = rv_gemm_panel();
    return kr.begin * up(n, nr) * nr + j * (kr.end - kr.begin);
}

static const rv_real *v_at(const plan *p, int64_t k, int64_t j) {
    return p->v + (p->v_trans ? j * p->ldv + k : k * p->ldv + j);
}

/* Rows are copied to this distance, an odd number of lines: the elements of a tile shall not fall on a few sets of the
 * cache. */
static int64_t s_stride(int64_t width) { return (width + 31) / 32 * 32 + 16; }

/* The i-th block of rows: whole tiles, or equal parts of few rows. */
static rv_range row_block_at(const plan *p, int64_t i) {
    const int64_t mr = rv_k()->tile_rows;
    if (p->m < 4 * mr * p->row_blocks) return block(p->m, p->row_blocks, i);
    const rv_range tiles = block(up(p->m, mr), p->row_blocks, i);
    return (rv_range){tiles.begin * mr, min(tiles.end * mr, p->m)};
}

/* The rows (or columns) of S close together. Broadcasting its elements costs the same whichever way they lie, so that
 * nothing is rearranged. */
static void gather_s(rv__gemm_block *b, rv_real *dst, bool copy) {
    const bool by_row = b->s_col == 1;
    const int64_t rows = by_row ? b->m : b->k, width = by_row ? b->k : b->m, from = by_row ? b->s_row : b->s_col,
                  to = s_stride(width);
    if (copy)
        for (int64_t i = 0; i < rows; i++) memcpy(dst + i * to, b->s + i * from, (size_t)width * sizeof *dst);
    b->s = dst;
    *(by_row ? &b->s_row : &b->s_col) = to;
}

/* Rows of one block of S times one panel of V, for one block of K. packed_v: the panel; or NULL, and it is found in the
 * caller's packed_b or packed here. *held is the number of the S block that lies in the scratch. */
static void unit(const plan *p, int64_t kb, int64_t row_block, int64_t j, const rv_real *packed_v, scratch mine,
                 int64_t *held) {
    const rv_gemm *g = p->g;
    const rv_range kr = block(p->k, p->k_blocks, kb), rows = row_block_at(p, row_block);
    const int64_t i = rows.begin, k = kr.end - kr.begin, offset = p->swap ? j * g->ldc + i : i * g->ldc + j;
    const bool last = kb == p->k_blocks - 1;
    if (!packed_v && g->packed_b) packed_v = (const rv_real *)g->packed_b + packed_at(p->n, kr, j);
    rv__gemm_block b = {.m = rows.end - i,
                        .n = min(p->nr, p->n - j),
                        .k = k,
                        .c = p->c + offset,
                        .ldc = g->ldc,
                        .c_trans = p->swap,
                        .add = g->accumulate || kb > 0,
                        .alpha = g->alpha == 0 ? 1 : g->alpha,
                        .v = packed_v,
                        .v_row = p->nr};
    if (last) {
        b.bias = g->bias ? g->bias + (p->swap ? i : j) : NULL;
        b.act = g->act;
        b.pre = p->pre ? p->pre + offset : NULL;
    }
    if (packed_v) b.ahead = packed_v + p->nr * k;
    if (!packed_v && p->direct_v && (b.n == p->nr || p->edge_v)) {
        b.v = v_at(p, kr.begin, j);
        b.v_row = p->ldv;
    } else if (!packed_v) {
        rv_k()->gemm_pack_v(p->v_trans, b.n, k, v_at(p, kr.begin, j), p->ldv, mine.v);
        b.v = mine.v;
    }
    b.s = p->s + i * p->s_row + kr.begin * p->s_col;
    b.s_row = p->s_row;
    b.s_col = p->s_col;
    if (p->gather_s) {
        const int64_t number = kb * p->row_blocks + row_block;
        gather_s(&b, mine.s, *held != number);
        *held = number;
    }
    rv_k()->gemm_block(&b);
}

static void parallel(const plan *p, int threads) {
    /* A panel of V that serves several blocks of rows is packed once, by whoever; else by the one thread that needs it,
     * if the caller has not packed it. */
    const bool share = p->row_blocks > 1 && !p->g->packed_b;
    const int64_t deepest = min(p->k, KC), panels = up(p->n, p->nr);
    const int64_t at_once = share ? min(panels, V_SHARED / (p->nr * (deepest ? deepest : 1))) : panels;
    rv_real *v = share ? shared_v(at_once * p->nr * deepest) : NULL;
#pragma omp parallel num_threads(threads)
    {
        const scratch mine = own_scratch();
        for (int64_t first = 0; first < panels; first += at_once) {
            const int64_t count = min(at_once, panels - first);
            int64_t held = -1;
            for (int64_t kb = 0; kb < p->k_blocks; kb++) {
                const rv_range kr = block(p->k, p->k_blocks, kb);
                const int64_t k = kr.end - kr.begin;
                if (share) {
#pragma omp for schedule(static)
                    for (int64_t q = 0; q < count; q++) {
                        const int64_t j = (first + q) * p->nr;
                        rv_k()->gemm_pack_v(p->v_trans, min(p->nr, p->n - j), k, v_at(p, kr.begin, j), p->ldv,
                                            v + q * p->nr * k);
                    }
                }
                /* The same thread gets the same part of C for every block of K. */
#pragma omp for schedule(static) nowait
                for (int64_t u = 0; u < p->row_blocks * count; u++) {
                    const int64_t q = u % count;
                    unit(p, kb, u / count, (first + q) * p->nr, share ? v + q * p->nr * k : NULL, mine, &held);
                }
                if (share) {
#pragma omp barrier
                }
            }
        }
    }
}

static void serial(const plan *p) {
    if (p->row_blocks > 1 && !p->g->packed_b) { /* V is packed once for all of them */
        parallel(p, 1);
        return;
    }
    const scratch mine = own_scratch();
    int64_t held = -1;
    for (int64_t kb = 0; kb < p->k_blocks; kb++)
        for (int64_t r = 0; r < p->row_blocks; r++)
            for (int64_t j = 0; j < p->n; j += p->nr) unit(p, kb, r, j, NULL, mine, &held);
}

/* Waking another thread costs some microseconds. */
static int threads_for(double multiplications) { return rv_threads_for(multiplications / 8); }

void rv_gemm_serial(const rv_gemm *g) {
    const plan first = make_plan(g, 1);
    for (int64_t b = 0; b < (g->batch ? g->batch : 1); b++) {
        const plan p = nth(&first, b);
        serial(&p);
    }
}

void rv_gemm_run(const rv_gemm *g) {
    const int64_t batch = g->batch ? g->batch : 1;
    const double one = (double)g->m * (double)g->n * (double)g->k;
    const int threads = threads_for(one * (double)batch);
    rv__flops_add(2 * one * (double)batch);
    if (threads == 1) {
        rv_gemm_serial(g);
    } else if (batch > 1 && (batch >= 4 * threads || threads_for(one) == 1)) {
        const plan first = make_plan(g, 1);
#pragma omp parallel for schedule(static) num_threads(threads)
        for (int64_t b = 0; b < batch; b++) {
            const plan p = nth(&first, b);
            serial(&p);
        }
    } else {
        const plan first = make_plan(g, threads);
        for (int64_t b = 0; b < batch; b++) {
            const plan p = nth(&first, b);
            parallel(&p, threads);
        }
    }
}

/* ---- B packed once */

int64_t rv_gemm_panel(void) { return 2 * rv_k()->lanes; }
size_t rv_gemm_packed_bytes(int64_t n, int64_t k) {
    return (size_t)(up(n, rv_gemm_panel()) * rv_gemm_panel() * k) * sizeof(rv_real);
}

void rv_gemm_pack_b(bool tb, int64_t n, int64_t k, const rv_real *b, int64_t ldb, void *dst) {
    const int64_t nr = rv_gemm_panel(), panels = up(n, nr), blocks = k_blocks(k);
#pragma omp parallel for schedule(static) num_threads(threads_for((double)n *(double)k))
    for (int64_t u = 0; u < panels * blocks; u++) {
        const rv_range kr = block(k, blocks, u / panels);
        const int64_t j = u % panels * nr;
        rv_k()->gemm_pack_v(tb, min(nr, n - j), kr.end - kr.begin, b + (tb ? j * ldb + kr.begin : kr.begin * ldb + j),
                            ldb, (rv_real *)dst + packed_at(n, kr, j));
    }
}

void rv_gemm_packed_all(int count, const rv_gemm_columns *part) {
    const int64_t nr = rv_gemm_panel();
    int64_t panels = 0, held = -1;
    for (int i = 0; i < count; i++) panels += up(part[i].n1 - part[i].n0, nr);
    rv_gemm g = part[0].g;
    g.b = NULL; /* nothing to swap with */
    g.n = panels * nr;
    const plan shape = make_plan(&g, 1);
    const scratch mine = own_scratch();
    for (int64_t kb = 0; kb < shape.k_blocks; kb++)
        for (int64_t r = 0; r < shape.row_blocks; r++)
            for (int i = 0; i < count; i++) {
                const rv_real *b =
                    (const rv_real *)part[i].packed_b + packed_at(part[i].g.n, block(shape.k, shape.k_blocks, kb), 0);
                const rv_range kr = block(shape.k, shape.k_blocks, kb);
                plan p = shape;
                p.g = &part[i].g, p.c = part[i].g.c, p.pre = part[i].g.pre, p.n = part[i].n1;
                for (int64_t j = part[i].n0; j < part[i].n1; j += nr)
                    unit(&p, kb, r, j, b + j * (kr.end - kr.begin), mine, &held);
            }
}

void rv_gemm_packed(const rv_gemm *g, const void *packed_b, int64_t n0, int64_t n1) {
    const rv_gemm_columns part = {*g, packed_b, n0, n1};
    rv_gemm_packed_all(1, &part);
}
