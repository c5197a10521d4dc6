/* The loss by an HMM: all paths through a sentence's tags. */
#include <math.h>

#include "kernels/chain.h"
#include "models/hmm_private.h"

/* A batch's chain with room for its kernels. */
typedef struct {
    rv_chain c;
    void *room;
    double *log_z, *score; /* (B) of all paths, and of the batch's own tags */
} paths;

static bool open_paths(rv_tape *tape, rv_hmm *h, const rv_batch *b, paths *p) {
    const rv_status status = rv__hmm_check(h, b);
    if (status != RV_OK) {
        rv_tape_fail(tape, status, "%s", rv_error_message());
        return false;
    }
    if (!rv_hmm_chain(tape, h, &b->source, &p->c)) return false;
    p->room = rv_tape_alloc(tape, rv_chain_room(&p->c));
    p->log_z = rv_tape_alloc(tape, (size_t)b->B * sizeof *p->log_z);
    p->score = rv_tape_alloc(tape, (size_t)b->B * sizeof *p->score);
    if (!p->room || !p->log_z || !p->score) return false;
    rv_chain_score(&p->c, b->out, p->score);
    return true;
}

rv_tensor *rv_hmm_loss(rv_tape *tape, rv_hmm *h, const rv_batch *b) {
    paths p;
    if (!open_paths(tape, h, b, &p)) return NULL;
    rv_chain_log_z(&p.c, p.room, p.log_z);
    double nats = 0, words = 0;
    for (int64_t i = 0; i < b->B; i++) {
        nats += p.log_z[i] - p.score[i];
        words += b->source.lengths[i];
    }
    return rv_constant(tape, 0, NULL, &(rv_real){(rv_real)(nats / words)});
}
