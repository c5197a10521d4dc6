#include "train/tag_scores.h"

#include "base/arena.h"

rv_status rv__tag_scores_begin(const rv_tags *of, rv__tag_scores *out) {
    int64_t longest = 1;
    for (int64_t i = 0; i < of->n; i++)
        if (of->at[i + 1] - of->at[i] > longest) longest = of->at[i + 1] - of->at[i];
    *out = (rv__tag_scores){.of = of,
                            .told = rv_alloc(rv_size_mul((size_t)of->words + 1, sizeof *out->told)),
                            .room = rv_alloc(rv_size_mul(2 * (size_t)longest, sizeof *out->room))};
    return out->told && out->room ? RV_OK : RV_ENOMEM;
}

void rv__tag_scores_end(rv__tag_scores *s) {
    rv_free(s->told);
    rv_free(s->room);
}

void rv__tag_scores_take(rv__tag_scores *s, const rv_batch *b, const int32_t *best) {
    for (int64_t i = 0; i < b->B; i++)
        for (int64_t t = 0; t < b->lengths[i]; t++) s->told[s->of->at[b->index[i]] + t] = best[i * b->T + t];
}

rv_tag_sums rv__tag_scores_of(const rv__tag_scores *s, int64_t sentence, rv_span_counts *by_type) {
    const int64_t begin = s->of->at[sentence], n = s->of->at[sentence + 1] - begin;
    const int32_t *gold = s->of->tag + begin, *told = s->told + begin;
    rv_tag_sums sums = {0};
    for (int64_t t = 0; t < n; t++) {
        const bool known = s->of->known[begin + t];
        sums.known += known;
        sums.known_right += known && told[t] == gold[t];
        sums.unknown += !known;
        sums.unknown_right += !known && told[t] == gold[t];
    }
    if (s->of->spans->scheme == RV_SPANS_NONE) return sums;
    rv_spans_count(s->of->spans, gold, told, n, s->room, &sums.spans, by_type);
    sums.malformed = rv_spans_malformed(s->of->spans, told, n);
    return sums;
}
