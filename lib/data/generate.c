#include "data/generate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "data/generate_private.h"

enum { TRIES = 100000 };

typedef rv__example example;

static int64_t draw_length(const rv_generator *t, rv_rng *r) {
    return t->min_length + (int64_t)rv_rng_below(r, (uint64_t)(t->max_length - t->min_length + 1));
}

static int64_t letters(const rv_generator *t, rv_rng *r, char *out) {
    int64_t n = draw_length(t, r);
    for (int64_t i = 0; i < n; i++) out[i] = (char)('a' + rv_rng_below(r, 26));
    out[n] = 0;
    return n;
}

static void make_copy(const rv_generator *t, rv_rng *r, example *e) {
    memcpy(e->target, e->source, (size_t)letters(t, r, e->source) + 1);
}

static void make_reverse(const rv_generator *t, rv_rng *r, example *e) {
    int64_t n = letters(t, r, e->source);
    for (int64_t i = 0; i < n; i++) e->target[i] = e->source[n - 1 - i];
    e->target[n] = 0;
}

/* Numbers in [0, 1) in steps of 1e-4, two of them marked with *, one in each half; the answer is their sum
 * [Hochreiter & Schmidhuber 1997, experiment 4]. In whole steps, so that no rounding depends on the machine. */
static void make_adding(const rv_generator *t, rv_rng *r, example *e) {
    int64_t n = draw_length(t, r), first = (int64_t)rv_rng_below(r, (uint64_t)n / 2),
            second = n / 2 + (int64_t)rv_rng_below(r, (uint64_t)(n - n / 2));
    int sum = 0;
    char *p = e->source;
    for (int64_t i = 0; i < n; i++) {
        int v = (int)rv_rng_below(r, 10000);
        bool marked = i == first || i == second;
        p += sprintf(p, "%s0.%04d%s", i ? " " : "", v, marked ? "*" : "");
        if (marked) sum += v;
    }
    sprintf(e->target, "%d.%04d", sum / 10000, sum % 10000);
}

/* Key-value pairs with distinct keys, then a key: what was its value? [Graves, Wayne, Danihelka 2014; Ba et al. 2016]
 */
static void make_recall(const rv_generator *t, rv_rng *r, example *e) {
    int64_t n = draw_length(t, r), key[26], asked = (int64_t)rv_rng_below(r, (uint64_t)n);
    for (int i = 0; i < 26; i++) key[i] = i;
    rv_rng_shuffle(r, key, 26);
    char *p = e->source;
    for (int64_t i = 0; i < n; i++) {
        char value = (char)('0' + rv_rng_below(r, 10));
        *p++ = (char)('a' + key[i]), *p++ = value;
        if (i == asked) e->target[0] = value, e->target[1] = 0;
    }
    sprintf(p, "?%c", (char)('a' + key[asked]));
}

static const char *const months[] = {"January", "February", "March",     "April",   "May",      "June",
                                     "July",    "August",   "September", "October", "November", "December"};
static const char *const weekdays[] = {"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"};

/* A day of 1900 to 2099 in one of eight English spellings, half of the time in lower case, as YYYY-MM-DD. */
static void make_dates(const rv_generator *t, rv_rng *r, example *e) {
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year = 1900, month = 0,
        day = (int)rv_rng_below(r, 73049);   /* days from 1900-01-01 to 2099-12-31, 49 of them leap days */
    const char *weekday = weekdays[day % 7]; /* 1900-01-01 was a Monday */
    for (;;) {
        int leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0), n = days[month] + (month == 1 && leap);
        if (day < n) break;
        day -= n;
        if (++month == 12) month = 0, year++;
    }
    const char *m = months[month], *th = day % 10 == 0 && day != 10   ? "st"
                                         : day % 10 == 1 && day != 11 ? "nd"
                                         : day % 10 == 2 && day != 12 ? "rd"
                                                                      : "th";
    char *s = e->source;
    day++;
    switch (rv_rng_below(r, 8)) {
    case 0: sprintf(s, "%d %s %d", day, m, year); break;
    case 1: sprintf(s, "%s %d, %d", m, day, year); break;
    case 2: sprintf(s, "%d %.3s %d", day, m, year); break;
    case 3: sprintf(s, "%.3s %d, %d", m, day, year); break;
    case 4: sprintf(s, "%d.%d.%d", day, month + 1, year); break;
    case 5: sprintf(s, "%02d/%02d/%d", day, month + 1, year); break;
    case 6: sprintf(s, "%s, %d %s %d", weekday, day, m, year); break;
    case 7: sprintf(s, "the %d%s of %s %d", day, th, m, year); break;
    }
    if (rv_rng_below(r, 2))
        for (; *s; s++)
            if (*s >= 'A' && *s <= 'Z') *s += 'a' - 'A';
    sprintf(e->target, "%04d-%02d-%02d", year, month + 1, day);
}

static const struct {
    const char *name, *summary;
    void (*make)(const rv_generator *, rv_rng *, example *);
    bool by_target; /* what decides the split */
    bool aligned;
    bool tagged;                    /* source and target are words and their tags */
    int64_t least, most;            /* bounds of the length; 0: has none */
    int64_t min_length, max_length; /* defaults */
} tasks[] = {
    {"copy", "repeat the letters", make_copy, false, false, false, 1, RV_TASK_LENGTH_MAX, 5, 20},
    {"reverse", "say the letters backwards", make_reverse, false, false, false, 1, RV_TASK_LENGTH_MAX, 5, 20},
    {"adding", "add the two marked numbers of a sequence", make_adding, false, false, false, 2, RV_TASK_LENGTH_MAX, 50,
     50},
    {"recall", "give the value that was paired with a key", make_recall, false, false, false, 1, 26, 4, 12},
    {"dates", "write an English date as YYYY-MM-DD", make_dates, true, false, false, 0, 0, 0, 0},
    {"phrases", "translate phrases, word alignment known", rv__make_phrases, false, true, false, RV__PHRASES_LEAST,
     RV__PHRASES_MOST, 4, 30},
    {"lookahead", "tag words by the word that stands 1 to 8 further on", rv__make_lookahead, false, false, true, 1,
     RV_TASK_LENGTH_MAX, 10, 25},
};
enum { TASKS = sizeof tasks / sizeof *tasks };

bool rv_generator_list(int i, const char **name, const char **summary) {
    if (i < 0 || i >= TASKS) return false;
    *name = tasks[i].name, *summary = tasks[i].summary;
    return true;
}

bool rv_generator_aligned(const char *name) {
    for (int i = 0; i < TASKS; i++)
        if (!strcmp(tasks[i].name, name)) return tasks[i].aligned;
    return false;
}

static int find(const char *name) {
    for (int i = 0; i < TASKS; i++)
        if (!strcmp(tasks[i].name, name)) return i;
    char list[128] = "";
    for (int i = 0; i < TASKS; i++)
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", i ? ", " : "", tasks[i].name);
    rv_error(RV_EUSAGE, "unknown task '%s'; there are: %s", name, list);
    return -1;
}

rv_status rv_generator_defaults(const char *name, rv_generator *out) {
    int k = find(name);
    if (k < 0) return RV_EUSAGE;
    *out = (rv_generator){.seed = 1,
                          .train = 10000,
                          .valid = 1000,
                          .test = 1000,
                          .min_length = tasks[k].min_length,
                          .max_length = tasks[k].max_length};
    snprintf(out->task, sizeof out->task, "%s", name);
    return RV_OK;
}

const char *rv_generator_text(const rv_generator *t, char *buf, size_t size) {
    snprintf(buf, size, "ravel-task 1 %s seed=%llu train=%lld valid=%lld test=%lld min_length=%lld max_length=%lld",
             t->task, (unsigned long long)t->seed, (long long)t->train, (long long)t->valid, (long long)t->test,
             (long long)t->min_length, (long long)t->max_length);
    return buf;
}

/* 80 % of all possible examples are for training, 10 % each for validation and test. */
static int split_of(const char *key) {
    uint32_t v[4];
    rv_rng_block(rv_rng_make_key(rv_rng_stream(key), rv_rng_stream("task.split")), 0, 0, v);
    return v[0] % 10 == 0 ? 1 : v[0] % 10 == 1 ? 2 : 0;
}

/* "word<TAB>tag" a line, and an empty one. */
static void write_tagged(FILE *f, const example *e) {
    const char *word = e->source, *tag = e->target;
    while (*word) {
        int n = (int)strcspn(word, " "), m = (int)strcspn(tag, " ");
        fprintf(f, "%.*s\t%.*s\n", n, word, m, tag);
        word += n + (word[n] == ' '), tag += m + (tag[m] == ' ');
    }
    fputc('\n', f);
}

/* f: of the endings in write_split, the last of them NULL unless the task is aligned. */
static void write_example(FILE *const *f, bool tagged, const example *e) {
    if (tagged) {
        write_tagged(f[0], e);
        fprintf(f[1], "%s\n", e->source);
        return;
    }
    fprintf(f[0], "%s\t%s\n", e->source, e->target);
    fprintf(f[1], "%s=%s\n", e->source, e->target);
    if (f[2]) fprintf(f[2], "%s\n", e->align);
}

static rv_status write_split(const rv_generator *t, int k, int split, const char *name, int64_t n, const char *folder,
                             example *e) {
    static const char *const endings[] = {"tsv", "txt", "align"};
    enum { FILES = sizeof endings / sizeof *endings };
    char path[FILES][RV__PATH], stream[32];
    FILE *f[FILES] = {0};
    int files = tasks[k].aligned ? FILES : FILES - 1;
    rv_status status = RV_OK;
    for (int i = 0; i < files && status == RV_OK; i++) {
        status = rv__path(path[i], "%s/%s.%s", folder, name, endings[i]);
        if (status == RV_OK && !(f[i] = rv__file_begin(path[i]))) status = RV_EDATA;
    }
    snprintf(stream, sizeof stream, "task.%s.%s", t->task, name);
    for (int64_t i = 0; i < n && status == RV_OK; i++) {
        rv_rng r = rv_rng_make(t->seed, stream, (uint64_t)i);
        int tries = TRIES;
        do tasks[k].make(t, &r, e);
        while (split_of(tasks[k].by_target ? e->target : e->source) != split && --tries);
        if (!tries)
            status =
                rv_error(RV_EUSAGE, "task %s: too few different examples for three splits; raise max_length", t->task);
        write_example(f, tasks[k].tagged, e);
    }
    bool keep = status == RV_OK;
    for (int i = 0; i < files; i++) {
        rv_status ended = f[i] ? rv__file_end(f[i], path[i], keep) : RV_OK;
        if (status == RV_OK) status = ended;
    }
    return status;
}

rv_status rv_generator_write(const rv_generator *t, const char *folder) {
    int k = find(t->task);
    if (k < 0) return RV_EUSAGE;
    if (t->min_length < tasks[k].least || t->max_length > tasks[k].most || t->min_length > t->max_length)
        return rv_error(RV_EUSAGE, "task %s: lengths %lld to %lld are outside %lld to %lld", t->task,
                        (long long)t->min_length, (long long)t->max_length, (long long)tasks[k].least,
                        (long long)tasks[k].most);
    const char *const names[] = {"train", "valid", "test"};
    const int64_t counts[] = {t->train, t->valid, t->test};
    for (int i = 0; i < 3; i++)
        if (counts[i] < 0 || counts[i] > 100000000)
            return rv_error(RV_EUSAGE, "task %s: %lld examples for %s; 0 to 100000000 will do", t->task,
                            (long long)counts[i], names[i]);
    example *e = malloc(sizeof *e);
    if (!e) return rv_error(RV_ENOMEM, "no memory for an example");
    rv_status status = RV_OK;
    for (int i = 0; i < 3 && status == RV_OK; i++) status = write_split(t, k, i, names[i], counts[i], folder, e);
    free(e);
    return status;
}
