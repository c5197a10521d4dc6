#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "kernels/kernels.h"

extern const rv_kernels rv__base_kernels;
#if defined(__x86_64__)
#define NAMES "avx512, avx2 or base"
extern const rv_kernels rv__avx2_kernels, rv__avx512_kernels;
static bool has_avx2(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
static bool has_avx512(void) {
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
}
#else
#define NAMES "base alone on this kind of CPU"
#endif
static bool always(void) { return true; }

/* Best first. */
static const struct {
    const rv_kernels *k;
    bool (*supported)(void);
} sets[] = {
#if defined(__x86_64__)
    {&rv__avx512_kernels, has_avx512},
    {&rv__avx2_kernels, has_avx2},
#endif
    {&rv__base_kernels, always},
};
enum { SETS = sizeof sets / sizeof *sets };

static const rv_kernels *chosen;

rv_status rv_select_isa(const char *isa) {
    for (int i = 0; i < SETS; i++) {
        if (strcmp(sets[i].k->isa, isa)) continue;
        if (!sets[i].supported())
            return rv_error(RV_EUSAGE, "this CPU has no %s; unset RAVEL_ISA to use the best it has", isa);
        chosen = sets[i].k;
        return RV_OK;
    }
    return rv_error(RV_EUSAGE, "unknown instruction set '%s'; RAVEL_ISA takes " NAMES, isa);
}

const rv_kernels *rv_k(void) {
    const char *isa = chosen ? NULL : getenv("RAVEL_ISA");
    if (isa && *isa && rv_select_isa(isa) != RV_OK) rv_warn("%s", rv_error_message());
    for (int i = 0; !chosen; i++)
        if (sets[i].supported()) chosen = sets[i].k;
    return chosen;
}
