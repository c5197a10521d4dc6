#define _GNU_SOURCE
#include "predict/tags.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WINDOW = 4096, COLUMNS = 10 }; /* sentences worked on at a time; columns of conllu */

bool rv__tags_format_parse(const char *name, rv__tags_format *format) {
    static const char *const names[] = {"auto", "lines", "columns", "conllu"};
    for (int i = 0; i < 4; i++)
        if (!strcmp(names[i], name)) {
            *format = (rv__tags_format)i;
            return true;
        }
    return false;
}

/* A line of the input. */
typedef struct {
    const char *text; /* without its end, which follows it */
    size_t len, whole;
    int64_t number;   /* from 1 */
    int64_t sentence; /* in the window; -1: of none */
    int64_t word;     /* of columns and conllu: its word among the window's, or -1; of lines the first one */
} line;

typedef struct {
    const rv__tags_job *job;
    rv__tags_format format;
    const char *name; /* of the input */
    const char *const *tag_name;
    int column;      /* that conllu replaces */
    int word_column; /* of columns, from 0 */
    rv_tape *tape;
    FILE *out;
    /* the window */
    line *lines;
    rv_text *words;
    rv_sentence_words *sentence;
    int64_t n_lines, room_lines, n_words, room_words, n_sentences, room_sentences;
    bool open; /* the last sentence goes on */
    /* what is told of it */
    int32_t *tag; /* (words) */
    rv_real *of_word;
    json_t **object; /* (sentences) */
} session;

static rv_status grow(void *list, int64_t n, int64_t *room, size_t size) {
    if (n < *room) return RV_OK;
    *room = 2 * n + 64;
    void *more = realloc(*(void **)list, (size_t)*room * size);
    if (!more) return rv_error(RV_ENOMEM, "no memory for the sentences");
    *(void **)list = more;
    return RV_OK;
}

/* ---- reading */

static rv_status add_word(session *s, const char *text, size_t len) {
    RV_TRY(grow(&s->words, s->n_words, &s->room_words, sizeof *s->words));
    s->words[s->n_words++] = (rv_text){(char *)text, len};
    return RV_OK;
}

static rv_status begin_sentence(session *s) {
    RV_TRY(grow(&s->sentence, s->n_sentences, &s->room_sentences, sizeof *s->sentence));
    s->sentence[s->n_sentences++] = (rv_sentence_words){0};
    s->open = true;
    return RV_OK;
}

static bool blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f'; }

/* Field i, from 0, of a line parted by tabs, or by blanks; false where there are fewer. */
static bool field_of(const char *text, size_t len, bool tabs, int i, const char **field, size_t *n) {
    const char *at = text, *end = text + len;
    for (int k = 0;; k++) {
        while (!tabs && at < end && blank(*at)) at++;
        const char *from = at;
        while (at < end && (tabs ? *at != '\t' : !blank(*at))) at++;
        if (!tabs && from == at) return false;
        if (k == i) {
            *field = from, *n = (size_t)(at - from);
            return true;
        }
        if (at == end) return false;
        at++;
    }
}

static bool has_tabs(const line *l) { return memchr(l->text, '\t', l->len); }

static rv_status take_words(session *s, line *l) {
    RV_TRY(begin_sentence(s));
    l->word = s->n_words;
    for (size_t i = 0; i < l->len;) {
        size_t from = i;
        while (i < l->len && !blank(l->text[i])) i++;
        if (i > from) RV_TRY(add_word(s, l->text + from, i - from));
        while (i < l->len && blank(l->text[i])) i++;
    }
    s->open = false;
    return RV_OK;
}

static bool whole_id(const char *s, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (s[i] < '0' || s[i] > '9') return false;
    return n > 0;
}

/* Whether the line is a word, and which part of it is. */
static rv_status word_of(const session *s, const line *l, bool *is, const char **word, size_t *n) {
    const char *id;
    size_t digits;
    *is = false;
    if (s->format == RV_TAGS_CONLLU) {
        if (*l->text == '#') return RV_OK;
        if (!field_of(l->text, l->len, true, COLUMNS - 1, word, n) || !field_of(l->text, l->len, true, 0, &id, &digits))
            return rv_error(RV_EDATA, "%s:%lld: not ten columns parted by tabs, as CoNLL-U has them; see --format",
                            s->name, (long long)l->number);
        *is = whole_id(id, digits);
        return *is && !field_of(l->text, l->len, true, 1, word, n) ? RV_EDATA : RV_OK;
    }
    if (!strncmp(l->text, "-DOCSTART-", l->len < 10 ? l->len : 10) && l->len >= 10) return RV_OK;
    *is = field_of(l->text, l->len, has_tabs(l), s->word_column, word, n) && *n;
    return *is ? RV_OK
               : rv_error(RV_EDATA, "%s:%lld: no word in column %d (data.word_column); see --format", s->name,
                          (long long)l->number, s->word_column + 1);
}

/* A comment of columns: "# ", as rv_tagged_load has it where no word has begun the sentence. */
static bool is_comment(const session *s, const line *l) {
    return s->format == RV_TAGS_COLUMNS && !s->open && l->len > 1 && l->text[0] == '#' && l->text[1] == ' ';
}

static rv_status take_line(session *s, const char *text, size_t len, size_t whole, int64_t number) {
    RV_TRY(grow(&s->lines, s->n_lines, &s->room_lines, sizeof *s->lines));
    line *l = &s->lines[s->n_lines++];
    *l = (line){.text = text, .len = len, .whole = whole, .number = number, .sentence = -1, .word = -1};
    const int64_t bad = rv_utf8_check(text, len);
    if (bad >= 0)
        return rv_error(RV_EDATA, "%s:%lld: byte %lld of the line is not valid UTF-8; convert the text", s->name,
                        (long long)number, (long long)bad + 1);
    const bool nothing = rv_text_is_blank(text, len);
    if (s->format == RV_TAGS_LINES) {
        RV_TRY(take_words(s, l));
    } else if (nothing || is_comment(s, l)) {
        s->open = s->open && !nothing;
        return RV_OK;
    } else {
        bool is;
        const char *word;
        size_t n;
        RV_TRY(word_of(s, l, &is, &word, &n));
        if (!is) return RV_OK;
        if (!s->open) RV_TRY(begin_sentence(s));
        l->word = s->n_words;
        RV_TRY(add_word(s, word, n));
    }
    l->sentence = s->n_sentences - 1;
    s->sentence[l->sentence].n = s->n_words; /* the end of its words, until all are there */
    return RV_OK;
}

/* ---- telling */

static json_t *names_of(const session *s, int64_t n, const int32_t *tag) {
    json_t *list = json_array();
    for (int64_t i = 0; i < n; i++) json_array_append_new(list, json_string(s->tag_name[tag[i]]));
    return list;
}

static json_t *words_of(const rv_sentence_words *w) {
    json_t *list = json_array();
    for (int64_t i = 0; i < w->n; i++) json_array_append_new(list, json_stringn(w->word[i].bytes, w->word[i].len));
    return list;
}

static json_t *object_of(const session *s, const rv_sentence_words *w, const rv_tagging *t) {
    json_t *o = json_object(), *sure = json_array(), *all = json_array();
    for (int64_t i = 0; i < t->n; i++) json_array_append_new(sure, json_real((double)t->of_word[i]));
    json_object_set_new(o, "words", words_of(w));
    json_object_set_new(o, "tags", names_of(s, t->n, t->tag));
    json_object_set_new(o, "probabilities", sure);
    json_object_set_new(o, "probability", json_real(t->n ? t->probability[0] : 1));
    for (int k = 0; k < t->taggings && s->job->n_best > 1; k++)
        json_array_append_new(all, json_pack("{s:o, s:f}", "tags", names_of(s, t->n, t->tag + k * t->n), "probability",
                                             t->probability[k]));
    if (s->job->n_best > 1) json_object_set(o, "taggings", all);
    json_decref(all);
    return o;
}

static rv_status keep(void *ctx, int64_t i, const rv_tagging *t) {
    session *s = ctx;
    const rv_sentence_words *w = &s->sentence[i];
    if (s->job->json) s->object[i] = object_of(s, w, t);
    for (int64_t k = 0; k < t->n; k++) s->tag[(w->word - s->words) + k] = t->tag[k];
    return RV_OK;
}

static rv_status tag_window(session *s) {
    const rv_source *source = rv_task_source(s->job->trained->task);
    const rv_tag_options o = {.words = source->in,
                              .letters = source->letters,
                              .most = rv_config_int(s->job->trained->config, "data.max_length"),
                              .batch = s->job->batch,
                              .n_best = s->job->n_best};
    int64_t at = 0;
    for (int64_t i = 0; i < s->n_sentences; i++) { /* the list of words has its place now */
        const int64_t end = s->sentence[i].n;
        s->sentence[i] = (rv_sentence_words){end - at, s->words + at};
        at = end;
    }
    s->tag = calloc((size_t)s->n_words + 1, sizeof *s->tag);
    s->object = calloc((size_t)s->n_sentences + 1, sizeof *s->object);
    if (!s->tag || !s->object) return rv_error(RV_ENOMEM, "no memory for %lld tags", (long long)s->n_words);
    return rv_tag_each(s->tape, rv_task_model(s->job->trained->task), &o, s->sentence, s->n_sentences, keep, s);
}

/* ---- writing */

static const char *told(const session *s, int64_t word) { return s->tag_name[s->tag[word]]; }

static void put_line(session *s, const line *l) {
    const char *end = l->text + l->len, *field;
    size_t n;
    if (s->format == RV_TAGS_LINES) {
        const rv_sentence_words *w = &s->sentence[l->sentence];
        for (int64_t k = 0; k < w->n; k++) fprintf(s->out, "%s%s", k ? " " : "", told(s, l->word + k));
    } else if (l->word < 0) {
        fwrite(l->text, 1, l->len, s->out);
    } else if (s->format == RV_TAGS_COLUMNS) {
        fwrite(l->text, 1, l->len, s->out);
        fprintf(s->out, "%c%s", has_tabs(l) || !memchr(l->text, ' ', l->len) ? '\t' : ' ', told(s, l->word));
    } else {
        field_of(l->text, l->len, true, s->column, &field, &n);
        fwrite(l->text, 1, (size_t)(field - l->text), s->out);
        fputs(told(s, l->word), s->out);
        fwrite(field + n, 1, (size_t)(end - field) - n, s->out);
    }
    if (l->whole > l->len)
        fwrite(end, 1, l->whole - l->len, s->out);
    else
        fputc('\n', s->out);
}

static void write_window(session *s) {
    int64_t last = -1;
    for (int64_t i = 0; i < s->n_lines; i++) {
        const line *l = &s->lines[i];
        if (!s->job->json) {
            put_line(s, l);
        } else if (l->sentence > last) {
            last = l->sentence;
            json_object_set_new(s->object[last], "line", json_integer(l->number));
            json_dumpf(s->object[last], s->out, JSON_COMPACT);
            fputc('\n', s->out);
        }
    }
}

static rv_status finish_window(session *s) {
    rv_status status = tag_window(s);
    if (status == RV_OK) write_window(s);
    if (status == RV_OK && ferror(s->out)) status = rv_error(RV_EDATA, "cannot write: %s", strerror(errno));
    for (int64_t i = 0; s->object && i < s->n_sentences; i++) json_decref(s->object[i]);
    free(s->object);
    free(s->tag);
    s->object = NULL, s->tag = NULL;
    s->n_lines = s->n_words = s->n_sentences = 0;
    s->open = false;
    return status;
}

/* ---- the input */

static bool ends_in(const char *path, const char *with) {
    const size_t n = strlen(path), k = strlen(with);
    return n >= k && !strcmp(path + n - k, with);
}

/* By the name, or else by the first line that is not blank. */
static rv__tags_format guess(const char *path, const char *text, size_t len) {
    int tabs = 0;
    if (ends_in(path, ".conllu") || ends_in(path, ".conllu.gz")) return RV_TAGS_CONLLU;
    for (size_t i = 0; i < len; i++) tabs += text[i] == '\t';
    if (tabs == COLUMNS - 1 || (len > 10 && !strncmp(text, "# sent_id ", 10)) ||
        (len > 12 && !strncmp(text, "# newdoc id ", 12)))
        return RV_TAGS_CONLLU;
    return tabs ? RV_TAGS_COLUMNS : RV_TAGS_LINES;
}

static void choose_format(session *s, const char *text, size_t len) {
    if (s->format == RV_TAGS_AUTO && !rv_text_is_blank(text, len)) s->format = guess(s->name, text, len);
}

static rv_status run_text(session *s, const char *path) {
    rv_text t;
    rv_status status = rv_text_load(strcmp(path, "-") ? path : "/dev/stdin", &t);
    if (status != RV_OK) return status;
    int64_t number = 0;
    size_t whole;
    for (size_t at = 0; at < t.len && s->format == RV_TAGS_AUTO; at += whole)
        choose_format(s, t.bytes + at, rv_text_line(t.bytes + at, t.len - at, &whole));
    if (s->format == RV_TAGS_AUTO) s->format = RV_TAGS_LINES;
    for (size_t at = 0; at < t.len && status == RV_OK; at += whole) {
        const size_t len = rv_text_line(t.bytes + at, t.len - at, &whole);
        status = take_line(s, t.bytes + at, len, whole, ++number);
        if (status == RV_OK && s->n_sentences >= WINDOW && !s->open) status = finish_window(s);
    }
    if (status == RV_OK) status = finish_window(s);
    rv_text_free(&t);
    return status;
}

/* Each sentence as soon as it has come; its lines are kept until then. */
static rv_status run_stream(session *s) {
    char **kept = NULL, *text = NULL;
    int64_t n = 0, room_kept = 0, number = 0;
    size_t room = 0;
    ssize_t len;
    rv_status status = RV_OK;
    while (status == RV_OK && (len = getline(&text, &room, stdin)) > 0) {
        size_t whole;
        const char *begin = text; /* a text's byte order mark is none of its words */
        if (!number && len >= 3 && !memcmp(text, "\xef\xbb\xbf", 3)) begin += 3;
        const size_t here = rv_text_line(begin, (size_t)len - (size_t)(begin - text), &whole);
        choose_format(s, begin, here);
        status = grow(&kept, n, &room_kept, sizeof *kept);
        if (status != RV_OK) break;
        kept[n++] = text;
        const bool undecided = s->format == RV_TAGS_AUTO;
        if (undecided) s->format = RV_TAGS_LINES; /* a blank line is one in each */
        status = take_line(s, begin, here, whole, ++number);
        if (undecided) s->format = RV_TAGS_AUTO;
        text = NULL, room = 0;
        if (status != RV_OK || s->open) continue;
        if (undecided) s->format = RV_TAGS_LINES;
        status = finish_window(s);
        if (undecided) s->format = RV_TAGS_AUTO;
        if (status == RV_OK && fflush(s->out)) status = rv_error(RV_EDATA, "cannot write: %s", strerror(errno));
        while (n) free(kept[--n]);
    }
    if (status == RV_OK && ferror(stdin))
        status = rv_error(RV_EDATA, "cannot read standard input: %s", strerror(errno));
    if (status == RV_OK && s->n_lines) status = finish_window(s);
    while (n) free(kept[--n]);
    free(kept);
    free(text);
    return status;
}

/* A part of the data, whose words are known to the task alone: their tags, and what they should be. */
static rv_status put_example(void *ctx, int64_t i, const rv_example *e) {
    session *s = ctx;
    if (!s->job->json) {
        fprintf(s->out, "%s\n", e->hypothesis);
        return RV_OK;
    }
    json_t *o = json_pack("{s:I, s:s, s:o, s:o, s:I}", "line", (json_int_t)i + 1, "text", e->source, "tags",
                          names_of(s, e->score.tokens, e->told), "reference", names_of(s, e->score.tokens, e->tag),
                          "right", (json_int_t)e->score.correct);
    if (!o) return rv_error(RV_ENOMEM, "no memory for a sentence");
    json_dumpf(o, s->out, JSON_COMPACT);
    fputc('\n', s->out);
    json_decref(o);
    return RV_OK;
}

static rv_status run_part(session *s) {
    const bool valid = s->job->from.split && !strcmp(s->job->from.split, "valid");
    if (s->job->n_best > 1)
        return rv_error(RV_EUSAGE, "--nbest is of sentences that are given; name a file with --input");
    return rv_task_examples(s->tape, s->job->trained->task, valid ? RV_SUBSET_VALID : RV_SUBSET_TEST, put_example, s);
}

/* ---- all of it */

static rv_status close_output(session *s, rv_status status) {
    const bool own = s->job->output;
    const bool ok = own ? !fclose(s->out) : !fflush(s->out);
    return status == RV_OK && !ok
               ? rv_error(RV_EDATA, "cannot write %s: %s", own ? s->job->output : "standard output", strerror(errno))
               : status;
}

static void settings(session *s) {
    const rv_config *c = s->job->trained->config;
    s->column = rv_config_is(c, "data.tags", "xpos") ? 4 : rv_config_is(c, "data.tags", "feats") ? 5 : 3;
    if (rv_config_has(c, "data.word_column")) s->word_column = (int)rv_config_int(c, "data.word_column") - 1;
    s->tag_name = rv_task_source(s->job->trained->task)->class_name;
}

rv_status rv__tags_run(const rv__tags_job *job) {
    session s = {.job = job, .format = job->format, .out = stdout};
    s.name = job->from.file ? job->from.file : "standard input";
    settings(&s);
    if (job->n_best > 1 && !job->json)
        return rv_error(RV_EUSAGE, "--nbest has no place in lines of tags; give --json, too");
    if (!(s.tape = rv_tape_create())) return RV_ENOMEM;
    rv_status status = RV_OK;
    if (job->output && !(s.out = fopen(job->output, "we")))
        status = rv_error(RV_EUSAGE, "cannot write %s: %s", job->output, strerror(errno));
    if (status == RV_OK) {
        status = job->from.from_stdin ? run_stream(&s) : job->from.file ? run_text(&s, job->from.file) : run_part(&s);
        status = close_output(&s, status);
    }
    free(s.lines);
    free(s.words);
    free(s.sentence);
    rv_tape_destroy(s.tape);
    return status;
}
