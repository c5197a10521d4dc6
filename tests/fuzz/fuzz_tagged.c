/* Mutated files of tagged words, CoNLL-U and columns, through the whole reader. Nothing may crash, hang or leak, every
 * refusal must name the file, and what is accepted must be whole: each word of each sentence with a tag, a form and an
 * id of its own.
 *
 * usage: fuzz_tagged [EXECUTIONS [SEED]]      the same numbers try the same texts */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "data/tagged.h"

#define REST "\tx\tNOUN\tNN\tNumber=Sing\t0\troot\t_\tSpaceAfter=No\n"
static const char *const corpus[] = {
    "# text = Du vin, s.\n1-2\tDu\t_\t_\t_\t_\t_\t_\t_\t_\n1\tDe\tde\tADP\tP\t_\t0\troot\t_\t_\n2\tle" REST
    "3\tvin" REST "3.1\tno" REST "4\t,\t,\tPUNCT\t,\t_\t0\troot\t_\t_\n\n1\tB" REST "\n",
    "1\ta\t_\tX\tXX\tA=B|C=D\t0\tr\t_\t_\r\n2\t1 000\t_\tNUM\tCD\t_\t0\tr\t_\t_\r\n\r\n# "
    "x\r\n1\tc\t_\tX\tXX\t_\t0\tr\t_\t"
    "_",
    "\xef\xbb\xbf@paul\tO\n#\tO\n#tag\tB-x\nEmpire\tB-location\nState\tI-location\n\t\n\nM\xc3\xbcller\tB-person\n."
    "\tO\n",
    "-DOCSTART- -X- -X- O\n\nEU NNP B-NP B-ORG\nrejects VBZ B-VP O\n# # B-NP O\n\n# id = 1\nGerman JJ B-NP B-MISC\n",
};
static const char *const pieces[] = {"\t",
                                     "\n",
                                     "\n\n",
                                     "\r\n",
                                     " ",
                                     "#",
                                     "# ",
                                     "1\t",
                                     "2\t",
                                     "1-2\t",
                                     "1.1\t",
                                     "99999999999\t",
                                     "-DOCSTART-",
                                     "_\t_\t",
                                     "\xef\xbb\xbf",
                                     "\xff",
                                     "\xc2\xa0",
                                     "\xe2\x80\xa8",
                                     "O",
                                     "B-x",
                                     "\tX\n",
                                     "\t\t\t\t\t\t\t\t\t",
                                     "a\tX\nb\tY\n",
                                     "\x1f\x8b",
                                     "x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x "
                                     "x x x x x x x x x x x x x x x x x x"};
enum { CORPUS = sizeof corpus / sizeof *corpus, PIECES = sizeof pieces / sizeof *pieces, CAP = 8192 };

static uint64_t state;
static uint32_t roll(uint32_t n) { /* splitmix64 */
    uint64_t z = (state += 0x9e3779b97f4a7c15u);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (uint32_t)((z ^ z >> 31) % n);
}

/* Replace `cut` bytes at `at` by `n` bytes. */
static size_t splice(char *text, size_t len, size_t at, size_t cut, const char *with, size_t n) {
    if (cut > len - at) cut = len - at;
    if (len - cut + n > CAP) return len;
    memmove(text + at + n, text + at + cut, len - at - cut);
    memcpy(text + at, with, n);
    return len - cut + n;
}

static size_t mutate(char *text, size_t len) {
    const size_t at = roll((uint32_t)len + 1);
    const char byte = (char)roll(256), *piece = pieces[roll(PIECES)], *other = corpus[roll(CORPUS)];
    char copy[128];
    size_t n = roll(sizeof copy), from = roll((uint32_t)len + 1);
    switch (roll(6)) {
    case 0: return splice(text, len, at, 1, &byte, 1);
    case 1: return splice(text, len, at, 0, piece, strlen(piece));
    case 2: return splice(text, len, at, roll(8), piece, strlen(piece));
    case 3: return splice(text, len, at, roll(32), "", 0);
    case 4:
        if (n > len - from) n = len - from;
        memcpy(copy, text + from, n);
        return splice(text, len, at, 0, copy, n);
    default: return splice(text, len, at, roll(64), other, roll((uint32_t)strlen(other)));
    }
}

static void fail(long i, const char *why, const char *text, size_t len) {
    fprintf(stderr, "fuzz_tagged: execution %ld: %s: %s\n", i, why, rv_error_message());
    fwrite(text, 1, len, stderr);
    exit(1);
}

/* What is wrong with a part; NULL: nothing. */
static const char *fault(const rv_tagged *t, const rv_tagged_part *p, int64_t max_length) {
    const int64_t V = rv_tokenizer_size(t->tokenizer);
    for (int64_t i = 0; i < p->pairs.n; i++) {
        const int64_t tokens = rv_pairs_src_length(&p->pairs, i), words = p->word_at[i + 1] - p->word_at[i];
        if (words < 1 || tokens < words || (!p->first && tokens != words)) return "a sentence without words";
        if (tokens > p->pairs.src_longest || (max_length && tokens > max_length)) return "a sentence is too long";
        int32_t last = -1;
        size_t len = 0;
        for (int64_t j = p->word_at[i]; j < p->word_at[i + 1]; j++) {
            if (p->tag[j] < 0 || p->tag[j] >= t->n_tags) return "a tag that is none";
            if (p->form[j] < 0 || p->form[j] >= t->forms.n) return "a form that is none";
            if (p->first && (p->first[j] <= last || p->first[j] >= tokens)) return "a first piece that is none";
            last = p->first ? p->first[j] : last;
            const char *form = t->forms.text[p->form[j]];
            if (strncmp(p->pairs.src[i].bytes + len, form, strlen(form))) return "a word is not in its sentence";
            len += strlen(form) + 1;
        }
        if (len > p->pairs.src[i].len + 1) return "words are longer than their sentence";
    }
    for (int64_t k = 0; p->pairs.n && k < p->pairs.src_at[p->pairs.n]; k++)
        if (p->pairs.src_ids[k] < 0 || p->pairs.src_ids[k] >= V) return "an id that is none";
    return NULL;
}

/* One file through the reader; whether it was accepted. */
static bool try_one(long i, const char *path, int fd, double *slowest) {
    static const rv_tokenizer_spec specs[] = {{.type = RV_TOKENS_WORD, .lowercase = true},
                                              {.type = RV_TOKENS_WORD, .min_frequency = 2},
                                              {.type = RV_TOKENS_BYTE},
                                              {.type = RV_TOKENS_BPE, .vocab_size = 270},
                                              {.type = RV_TOKENS_CHAR, .normalization = RV_NORMAL_NFKC}};
    char text[CAP + 1];
    size_t len = strlen(corpus[i % CORPUS]);
    memcpy(text, corpus[i % CORPUS], len);
    for (int k = (int)roll(6); k > 0; k--) len = mutate(text, len);
    if (ftruncate(fd, 0) || pwrite(fd, text, len, 0) != (ssize_t)len) fail(i, "cannot write the file", text, len);
    rv_tagged_files f = {.train = path, .format = i % CORPUS < 2 ? RV_TAGGED_CONLLU : RV_TAGGED_COLUMNS};
    if (!roll(16)) f.format = f.format == RV_TAGGED_CONLLU ? RV_TAGGED_COLUMNS : RV_TAGGED_CONLLU;
    if (f.format == RV_TAGGED_CONLLU) f.field = (rv_tagged_field)roll(3);
    if (f.format == RV_TAGGED_COLUMNS && !roll(3)) f.tag_column = 2 + (int)roll(3);
    if (!roll(4)) f.train_fraction = 0.5;
    const int64_t max_length = roll(2) ? 0 : 1 + roll(5);
    const rv_tokenizer_spec *spec = &specs[roll(sizeof specs / sizeof *specs)];
    rv_tagged t;
    const double before = rv_now();
    const rv_status s = rv_tagged_load(&f, spec, NULL, NULL, NULL, 0, max_length, &t);
    const double took = rv_now() - before;
    if (took > *slowest) *slowest = took;
    if (took > 5) fail(i, "took more than five seconds", text, len);
    if (s != RV_OK) {
        if ((s != RV_EDATA && s != RV_EUSAGE) || strncmp(rv_error_message(), path, strlen(path)))
            fail(i, "refused without a place", text, len);
        return false;
    }
    const rv_tagged_part *parts[] = {&t.train, &t.valid, &t.test};
    for (int k = 0; k < 3; k++) {
        const char *wrong = fault(&t, parts[k], max_length);
        if (wrong) fail(i, wrong, text, len);
    }
    rv_tagged_free(&t);
    return true;
}

int main(int argc, char **argv) {
    const long n = argc > 1 ? atol(argv[1]) : 100000;
    const uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    char path[64]; /* in memory: a disk would take most of the time */
    const int fd = memfd_create("fuzz_tagged", 0);
    snprintf(path, sizeof path, "/proc/%ld/fd/%d", (long)getpid(), fd);
    long accepted = 0;
    double slowest = 0, start = rv_now();
    rv_log_set_level(RV_LOG_QUIET);
    for (long i = 0; i < n; i++) {
        state = seed << 32 | (uint64_t)i; /* each execution can be repeated alone */
        accepted += try_one(i, path, fd, &slowest);
    }
    close(fd);
    printf("%ld executions, %ld accepted, slowest %.1f ms, %.1f s\n", n, accepted, slowest * 1e3, rv_now() - start);
    if (n >= 1000 && (!accepted || accepted == n))
        return fprintf(stderr, "fuzz_tagged: the mutations no longer reach both sides\n"), 1;
    return 0;
}
