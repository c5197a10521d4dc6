/* Debian's builds of the three share one OpenMP runtime, ravel's own (libgomp), and are loaded with RTLD_LOCAL, so that
 * none sees another's symbols (all have a cblas_sgemm). Their interfaces are declared here: headers need not be
 * installed. */
#define _GNU_SOURCE
#include "rivals.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROW_MAJOR = 101, NO_TRANS = 111, TRANS = 112 };
typedef void cblas_sgemm_fn(int order, int ta, int tb, int m, int n, int k, float alpha, const float *a, int lda,
                            const float *b, int ldb, float beta, float *c, int ldc);
typedef int dnnl_sgemm_fn(char ta, char tb, int64_t m, int64_t n, int64_t k, float alpha, const float *a, int64_t lda,
                          const float *b, int64_t ldb, float beta, float *c, int64_t ldc);

static cblas_sgemm_fn *openblas_sgemm, *blis_sgemm;
static dnnl_sgemm_fn *onednn_sgemm;
static void (*openblas_threads)(int), (*blis_threads)(int64_t), (*openmp_threads)(int);

static void cblas(cblas_sgemm_fn *f, const rv_gemm *g) {
    f(ROW_MAJOR, g->ta ? TRANS : NO_TRANS, g->tb ? TRANS : NO_TRANS, (int)g->m, (int)g->n, (int)g->k, 1, g->a,
      (int)g->lda, g->b, (int)g->ldb, 0, g->c, (int)g->ldc);
}
static void openblas(const rv_gemm *g) { cblas(openblas_sgemm, g); }
static void blis(const rv_gemm *g) { cblas(blis_sgemm, g); }
static void onednn(const rv_gemm *g) {
    onednn_sgemm(g->ta ? 'T' : 'N', g->tb ? 'T' : 'N', g->m, g->n, g->k, 1, g->a, g->lda, g->b, g->ldb, 0, g->c,
                 g->ldc);
}

static bool avx512(void) { return !strcmp(rv_k()->isa, "avx512"); }

/* OpenBLAS takes recent AVX-512 CPUs for older ones and must then be told; it reads the variable when it is loaded. */
static bool open_openblas(rv_rival *out) {
    void *lib = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
    if (!lib) return false;
    const char *(*core)(void) = dlsym(lib, "openblas_get_corename");
    if (avx512() && core && strcmp(core(), "SkylakeX") && strcmp(core(), "Cooperlake") &&
        strcmp(core(), "SapphireRapids")) {
        dlclose(lib);
        setenv("OPENBLAS_CORETYPE", "SkylakeX", 1);
        lib = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
        core = lib ? dlsym(lib, "openblas_get_corename") : NULL;
    }
    const char *(*config)(void) = lib ? dlsym(lib, "openblas_get_config") : NULL;
    openblas_sgemm = lib ? dlsym(lib, "cblas_sgemm") : NULL;
    openblas_threads = lib ? dlsym(lib, "openblas_set_num_threads") : NULL;
    if (!core || !config || !openblas_sgemm || !openblas_threads) return false;
    char version[32] = "";
    sscanf(config(), "OpenBLAS %31s", version);
    *out = (rv_rival){.name = "OpenBLAS", .gemm = openblas};
    snprintf(out->about, sizeof out->about, "%s, %s", version, core());
    return true;
}

/* BLIS takes CPUs it does not know for ones without vectors; the number of a family of CPUs changes from version to
 * version. */
static bool open_blis(rv_rival *out) {
    void *lib = dlopen("libblis.so.4", RTLD_NOW | RTLD_LOCAL);
    if (!lib) return false;
    const char *(*arch)(int) = dlsym(lib, "bli_arch_string"),
               *(*version)(void) = dlsym(lib, "bli_info_get_version_str");
    int (*chosen)(void) = dlsym(lib, "bli_arch_query_id");
    void (*init)(void) = dlsym(lib, "bli_init");
    blis_sgemm = dlsym(lib, "cblas_sgemm");
    blis_threads = dlsym(lib, "bli_thread_set_num_threads");
    if (!arch || !version || !chosen || !init || !blis_sgemm || !blis_threads) return false;
    for (int i = 0; i < 8 && avx512() && !getenv("BLIS_ARCH_TYPE"); i++) {
        char id[8];
        snprintf(id, sizeof id, "%d", i);
        if (!strcmp(arch(i), "skx")) setenv("BLIS_ARCH_TYPE", id, 1);
    }
    init();
    *out = (rv_rival){.name = "BLIS", .gemm = blis};
    snprintf(out->about, sizeof out->about, "%s, %s", version(), arch(chosen()));
    return true;
}

static bool open_onednn(rv_rival *out) {
    void *lib = dlopen("libdnnl.so.3", RTLD_NOW | RTLD_LOCAL);
    if (!lib) lib = dlopen("libdnnl.so.2", RTLD_NOW | RTLD_LOCAL);
    if (!lib) return false;
    const struct { int major, minor, patch; } * (*version)(void) = dlsym(lib, "dnnl_version"), *v;
    onednn_sgemm = dlsym(lib, "dnnl_sgemm");
    if (!version || !onednn_sgemm) return false;
    v = version();
    *out = (rv_rival){.name = "oneDNN", .gemm = onednn};
    snprintf(out->about, sizeof out->about, "%d.%d.%d", v->major, v->minor, v->patch);
    return true;
}

int rv__rivals_open(rv_rival out[RV_RIVALS]) {
    int n = 0;
    n += open_openblas(&out[n]);
    n += open_blis(&out[n]);
    n += open_onednn(&out[n]);
    openmp_threads = dlsym(RTLD_DEFAULT, "omp_set_num_threads");
    return n;
}

void rv__rivals_set_threads(int n) {
    if (openmp_threads) openmp_threads(n);
    if (openblas_threads) openblas_threads(n);
    if (blis_threads) blis_threads(n);
}
