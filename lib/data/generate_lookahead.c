/* Tagged sentences in which the future decides: what a question is, a word further on says.
 *
 * Words are plain or questions. A plain word is its own answer: those in a have tag A, those in o have B, one as often
 * as the other. The question q3 asks for the tag of the third word to its right, always a plain one: its tag is A3 or
 * B3, so that results tag by tag, or word by word, are results by distance. Plain words are drawn independently, and
 * nothing to the left of a question, nor any word but the one that it asks for, says anything of its answer.
 *
 * So the best accuracy that there is depends on what a model may look at alone (lengths 10 to 25, counted in 300,000
 * sentences; 27.7 % of the words are questions, from 4.3 % of q1 to 2.6 % of q8; an accuracy is per question, or word):
 *
 *   a model that ...                                       q1      q2      q3    q4-q8   questions   words
 *   reads from the left, up to the word                   50 %    50 %    50 %    50 %     50 %     86.2 %
 *   sees the word and its two neighbours                 100 %    50 %    50 %    50 %     57.7 %   88.3 %
 *   sees the words one by one, in a chain of their tags, each of which depends on
 *     the one before it (a CRF)                          100 %    53.1 %  50.2 %  50 %     58.2 %   88.4 %
 *   reads the whole sentence                             100 %   100 %   100 %   100 %    100 %    100 %
 *
 * The chain (a CRF over words, an HMM of pairs) learns from the tag behind a question what it must agree with: q1 with
 * a plain word, q2 with a q1 right behind it, which asks for the same word, and so on. */
#include "data/generate_private.h"

#include <stdio.h>

enum { DISTANCES = 8, CONSONANTS = 12 };

/* From the right, so that it is known what a question would ask for; where that is no plain word, there is none. */
static void draw_distances(int64_t n, rv_rng *r, int8_t *distance) {
    for (int64_t i = n - 1; i >= 0; i--) {
        bool ask = rv_rng_below(r, 2);
        int d = 1 + (int)rv_rng_below(r, DISTANCES);
        distance[i] = (int8_t)(ask && i + d < n && !distance[i + d] ? d : 0);
    }
}

void rv__make_lookahead(const rv_generator *t, rv_rng *r, rv__example *e) {
    static const char consonants[CONSONANTS + 1] = "bdfgklmnprst", vowels[] = "ao", classes[] = "AB";
    int8_t distance[RV_TASK_LENGTH_MAX], class[RV_TASK_LENGTH_MAX];
    int64_t n = t->min_length + (int64_t)rv_rng_below(r, (uint64_t)(t->max_length - t->min_length + 1));
    char *word = e->source, *tag = e->target;
    draw_distances(n, r, distance);
    for (int64_t i = 0; i < n; i++) class[i] = (int8_t)rv_rng_below(r, 2);
    for (int64_t i = 0; i < n; i++) {
        const char *space = i ? " " : "";
        char consonant = consonants[rv_rng_below(r, CONSONANTS)]; /* of questions, too: one draw a word */
        int d = distance[i];
        if (d) {
            word += sprintf(word, "%sq%d", space, d);
            tag += sprintf(tag, "%s%c%d", space, classes[class[i + d]], d);
        } else {
            word += sprintf(word, "%s%c%c", space, consonant, vowels[class[i]]);
            tag += sprintf(tag, "%s%c", space, classes[class[i]]);
        }
    }
}
