/* The mean of several checkpoints of one model. */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "io/checkpoint.h"

static bool averaged(const rv_ck_item *it) {
    return !strncmp(it->path, "/model/", 7) && (it->type == RV_CK_F32 || it->type == RV_CK_F64);
}

static bool same_layout(const rv_ck_item *a, const rv_ck_item *b) {
    return a->type == b->type && a->ndim == b->ndim && !memcmp(a->dim, b->dim, (size_t)a->ndim * sizeof *a->dim);
}

static double value_at(const rv_ck_item *it, int64_t k) {
    return it->type == RV_CK_F64 ? ((const double *)it->data)[k] : (double)((const float *)it->data)[k];
}

/* Add the model of ck to the sums, one array per item of `shape`, the checkpoint whose items are wanted. */
static rv_status add_model(double *const *sum, const rv_checkpoint *shape, const rv_checkpoint *ck) {
    int model = 0, here = 0;
    for (int i = 0; i < rv_checkpoint_count(ck); i++) here += averaged(rv_checkpoint_item(ck, i));
    for (int i = 0; i < rv_checkpoint_count(shape); i++) {
        const rv_ck_item *want = rv_checkpoint_item(shape, i), *it;
        if (!averaged(want)) continue;
        model++;
        it = rv_checkpoint_find(ck, want->path);
        if (!it || !same_layout(it, want))
            return rv_error(RV_ECKPT, "%s: '%s' %s as in %s: only checkpoints of one model can be averaged",
                            rv_checkpoint_path(ck), want->path,
                            it ? "is not of the same type and shape" : "is not there", rv_checkpoint_path(shape));
        for (int64_t k = 0; k < rv_ck_count(it); k++) sum[i][k] += value_at(it, k);
    }
    if (here != model)
        return rv_error(RV_ECKPT, "%s: its model has more tensors than that of %s", rv_checkpoint_path(ck),
                        rv_checkpoint_path(shape));
    return RV_OK;
}

/* The sums become means, in place and in the item's own type. */
static void divide(double *sum, rv_ck_item *it, int n) {
    float *narrow = (float *)sum; /* the k-th float is written after the k-th double was read */
    for (int64_t k = 0; k < rv_ck_count(it); k++) {
        double mean = sum[k] / n;
        if (it->type == RV_CK_F64)
            sum[k] = mean;
        else
            memcpy(&narrow[k], &(float){(float)mean}, sizeof(float));
    }
    it->data = sum;
}

static rv_status average_like(const rv_checkpoint *last, const char *out, int n, const char *const *files,
                              char *state_hash) {
    int count = rv_checkpoint_count(last);
    double **sum = rv_alloc(((size_t)count + 1) * sizeof *sum);
    rv_ck_item *it = rv_alloc(((size_t)count + 1) * sizeof *it);
    rv_status status = sum && it ? RV_OK : RV_ENOMEM;
    for (int i = 0; i < count && status == RV_OK; i++) {
        it[i] = *rv_checkpoint_item(last, i);
        if (!averaged(&it[i])) continue;
        sum[i] = rv_alloc(rv_size_mul((size_t)rv_ck_count(&it[i]), sizeof **sum));
        if (!sum[i]) status = RV_ENOMEM;
    }
    for (int f = 0; f < n && status == RV_OK; f++) {
        rv_checkpoint *ck = NULL;
        status = rv_checkpoint_open(files[f], &ck);
        if (status == RV_OK) status = add_model(sum, last, ck);
        rv_checkpoint_close(ck);
    }
    for (int i = 0; i < count && status == RV_OK; i++)
        if (sum[i]) divide(sum[i], &it[i], n);
    if (status == RV_OK) status = rv_checkpoint_save(out, rv_checkpoint_step(last), count, it, state_hash);
    for (int i = 0; sum && i < count; i++) rv_free(sum[i]);
    rv_free(sum);
    rv_free(it);
    return status;
}

rv_status rv_checkpoint_average(const char *out, int n, const char *const *files, char state_hash[RV_CK_HASH_TEXT]) {
    RV_ASSERT(n > 0);
    rv_checkpoint *last;
    RV_TRY(rv_checkpoint_open(files[n - 1], &last));
    rv_status status = average_like(last, out, n, files, state_hash);
    rv_checkpoint_close(last);
    return status;
}
