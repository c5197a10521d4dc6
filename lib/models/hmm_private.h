/* What the files of the HMM share. */
#ifndef RV_MODELS_HMM_PRIVATE_H
#define RV_MODELS_HMM_PRIVATE_H

#include "models/hmm.h"

/* Tags by suffix: a trie over a word's shape, then its letters from the last to the first. */
typedef struct {
    int32_t key, child, next; /* a shape or a letter, the first node below, the next one beside; 0: none */
} rv_hmm_node;
typedef struct {
    int64_t K, room; /* tags; nodes that fit */
    int longest;     /* letters */
    int32_t n;       /* nodes; 0 is the root, all rare words */
    rv_hmm_node *node;
    double *p; /* (n, K) P(tag | node) */
} rv_hmm_suffixes;

/* Room for all suffixes of the vocabulary. False: RV_ENOMEM. */
bool rv__hmm_suffixes_create(rv_hmm_suffixes *s, const rv_hmm_config *c);
void rv__hmm_suffixes_destroy(rv_hmm_suffixes *s);
/* Learn from the counts of rare words, (V, K) in all. tag_p (K) is P(tag); theta says how much a shorter suffix counts
 * beside the next longer one, unless the configuration does. Error: RV_ENOMEM. */
rv_status rv__hmm_suffixes_learn(rv_hmm_suffixes *s, const rv_hmm_config *c, const rv_real *count, const double *tag_p,
                                 double theta);
/* P(tag | the longest known suffix of word w), (K); w < 0, words NULL, or no suffixes: of any rare word. */
const double *rv__hmm_suffixes_find(const rv_hmm_suffixes *s, const rv_words *words, int64_t w);

enum { RV_HMM_COUNTS = 6 };
struct rv_hmm {
    rv_hmm_config config;
    union { /* NULL: of a higher order */
        struct {
            rv_tensor *emission, *start, *stop, *transition, *start2, *transition2;
        };
        rv_tensor *counts[RV_HMM_COUNTS];
    };

    bool derived; /* what follows is that of the counts whose hash this is */
    uint64_t hash;
    double *tag, *tag_p;          /* (K) how often each occurs, and P(tag) */
    double bigram[2], trigram[3]; /* weights of interpolation */
    rv_hmm_suffixes suffixes;
    rv_real *log_emission;          /* (V, K) */
    rv_real *log_start, *log_stop;  /* (K) */
    rv_real *log_first, *log_after; /* (K, K) the step to the second tag, which of order 1 is every step; (K, K, K) */
    double *row;                    /* (K) scratch */
    double *expected;               /* what rv_hmm_expect gathered of orders 0 and 1, counts after counts; or NULL */
};

/* Bring what follows from the counts up to date. Error: RV_ENOMEM. */
rv_status rv__hmm_derive(rv_hmm *h);
/* A chain's scores of a word whose tags have the probabilities p (K). */
void rv__hmm_emit(const rv_hmm *h, const double *p, rv_real *out);
/* RV_EDATA unless each word has a tag. */
rv_status rv__hmm_check(const rv_hmm *h, const rv_batch *b);

#endif
