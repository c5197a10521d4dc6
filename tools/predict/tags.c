#define _GNU_SOURCE
#include "predict/tags.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/labels.h"
#include "data/word_lines.h"

/* Sentences worked on at a time, lines kept for them; columns of conllu. */
enum { WINDOW = 4096, WINDOW_LINES = 64 * WINDOW, COLUMNS = 10 };
static const char *const format_name[] = {"auto", "lines", "columns", "conllu"};

bool rv__tags_format_parse(const char *name, rv__tags_format *format) {
    for (int i = 0; i < 4; i++)
        if (!strcmp(format_name[i], name)) {
            *format = (rv__tags_format)i;
            return true;
        }
    return false;
}

/* A line of the input. */
typedef struct {
    char *text; /* without its end, which follows it */
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
    rv__columns columns;
    rv_tape *tape;
    FILE *out;
    /* the window */
    line *lines;
    rv_text *words;
    rv_sentence_words *sentence;
    int64_t n_lines, room_lines, n_words, room_words, n_sentences, room_sentences;
    bool open; /* the last sentence goes on */
    /* what is told of it */
    int32_t *tag;     /* (words) */
    json_t **object;  /* (sentences) */
    int64_t in_parts; /* sentences so far that are longer than the model takes */
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

/* Field i, from 0, of a line parted by tabs; false where there are fewer. */
static bool field_of(const line *l, int i, rv_text *field) {
    char *at = l->text, *end = l->text + l->len;
    for (int k = 0;; k++) {
        char *tab = memchr(at, '\t', (size_t)(end - at));
        *field = (rv_text){at, (size_t)((tab ? tab : end) - at)};
        if (k == i) return true;
        if (!tab) return false;
        at = tab + 1;
    }
}

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

/* Words are refused that training refuses. */
static rv_status check_word(const session *s, const line *l, rv_text word, int column) {
    if (word.len && !memchr(word.bytes, 0, word.len)) return RV_OK;
    return rv_error(RV_EDATA, "%s:%lld: %s in column %d%s; correct the line, or see --format", s->name,
                    (long long)l->number, word.len ? "a NUL in the word" : "no word", column + 1,
                    s->format == RV_TAGS_COLUMNS ? " (data.word_column)" : "");
}

/* What the line is to its sentence, and its word if it is one. Ranges and empty nodes count as comments. */
static rv_status read_conllu(session *s, line *l, rv__line_kind *kind, rv_text *word) {
    rv__word_line columns;
    RV_TRY(rv__conllu_line(s->name, l->number, l->text, l->len, &columns));
    *kind = columns.kind == RV__LINE_RANGE || columns.kind == RV__LINE_EMPTY_NODE ? RV__LINE_COMMENT : columns.kind;
    if (*kind != RV__LINE_WORD) return RV_OK;
    *word = rv__field_trim(columns.field[RV__CONLLU_FORM]);
    return check_word(s, l, *word, RV__CONLLU_FORM);
}

static rv_status read_columns(session *s, line *l, rv__line_kind *kind, rv_text *word) {
    rv__word_line columns;
    RV_TRY(rv__columns_line(&s->columns, l->number, l->text, l->len, &columns));
    *kind = columns.kind;
    if (*kind != RV__LINE_WORD) return RV_OK;
    *word = s->word_column < columns.columns ? columns.field[s->word_column] : (rv_text){0};
    return check_word(s, l, *word, s->word_column);
}

static rv_status take_line(session *s, char *text, size_t len, size_t whole, int64_t number) {
    RV_TRY(grow(&s->lines, s->n_lines, &s->room_lines, sizeof *s->lines));
    line *l = &s->lines[s->n_lines++];
    *l = (line){.text = text, .len = len, .whole = whole, .number = number, .sentence = -1, .word = -1};
    const int64_t bad = rv_utf8_check(text, len);
    if (bad >= 0)
        return rv_error(RV_EDATA, "%s:%lld: byte %lld of the line is not valid UTF-8; convert the text", s->name,
                        (long long)number, (long long)bad + 1);
    if (s->format == RV_TAGS_LINES) {
        RV_TRY(take_words(s, l));
    } else {
        rv__line_kind kind;
        rv_text word;
        RV_TRY((s->format == RV_TAGS_CONLLU ? read_conllu : read_columns)(s, l, &kind, &word));
        if (kind == RV__LINE_END) s->open = false;
        if (kind != RV__LINE_WORD) return RV_OK;
        if (!s->open) RV_TRY(begin_sentence(s));
        l->word = s->n_words;
        RV_TRY(add_word(s, word.bytes, word.len));
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
    s->in_parts += s->job->from.file && t->parts > 1;
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
    const char *end = l->text + l->len;
    rv_text field;
    if (s->format == RV_TAGS_LINES) {
        const rv_sentence_words *w = &s->sentence[l->sentence];
        for (int64_t k = 0; k < w->n; k++) fprintf(s->out, "%s%s", k ? " " : "", told(s, l->word + k));
    } else if (l->word < 0) {
        fwrite(l->text, 1, l->len, s->out);
    } else if (s->format == RV_TAGS_COLUMNS) {
        fwrite(l->text, 1, l->len, s->out);
        fprintf(s->out, "%c%s", s->columns.tabs || !memchr(l->text, ' ', l->len) ? '\t' : ' ', told(s, l->word));
    } else {
        field_of(l, s->column, &field);
        fwrite(l->text, 1, (size_t)(field.bytes - l->text), s->out);
        fputs(told(s, l->word), s->out);
        fwrite(field.bytes + field.len, 1, (size_t)(end - field.bytes) - field.len, s->out);
    }
    if (l->whole > l->len)
        fwrite(end, 1, l->whole - l->len, s->out);
    else
        fputc('\n', s->out);
}

static rv_status put_object(const session *s, const json_t *o) {
    if (!o) return rv_error(RV_ENOMEM, "no memory for a sentence");
    if (json_dumpf(o, s->out, JSON_COMPACT) || fputc('\n', s->out) == EOF)
        return rv_error(RV_EDATA, "cannot write: %s", strerror(errno));
    return RV_OK;
}

static rv_status write_window(session *s) {
    int64_t last = -1;
    for (int64_t i = 0; i < s->n_lines; i++) {
        const line *l = &s->lines[i];
        if (!s->job->json) {
            put_line(s, l);
        } else if (l->sentence > last) {
            last = l->sentence;
            json_object_set_new(s->object[last], "line", json_integer(l->number));
            RV_TRY(put_object(s, s->object[last]));
        }
    }
    return ferror(s->out) ? rv_error(RV_EDATA, "cannot write: %s", strerror(errno)) : RV_OK;
}

static rv_status finish_window(session *s) {
    rv_status status = tag_window(s);
    if (status == RV_OK) status = write_window(s);
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

static bool comment(const char *text, size_t len) { return len > 1 && text[0] == '#' && text[1] == ' '; }

/* By the number of columns of the first line that is not blank and no comment of columns or conllu. Blanks part words
 * as well as columns, so the user is told. */
static void choose_format(session *s, const char *text, size_t len) {
    int tabs = 0;
    if (s->format != RV_TAGS_AUTO || rv_text_is_blank(text, len) || comment(text, len)) return;
    for (size_t i = 0; i < len; i++) tabs += text[i] == '\t';
    s->format = tabs == COLUMNS - 1 ? RV_TAGS_CONLLU : tabs ? RV_TAGS_COLUMNS : RV_TAGS_LINES;
    rv_info("%s: read as %s; --format says otherwise", s->name, format_name[s->format]);
}

static void choose_format_of_text(session *s, const rv_text *t) {
    if (s->format == RV_TAGS_AUTO && (ends_in(s->name, ".conllu") || ends_in(s->name, ".conllu.gz")))
        s->format = RV_TAGS_CONLLU;
    size_t whole;
    for (size_t at = 0; at < t->len && s->format == RV_TAGS_AUTO; at += whole)
        choose_format(s, t->bytes + at, rv_text_line(t->bytes + at, t->len - at, &whole));
    if (s->format == RV_TAGS_AUTO) s->format = RV_TAGS_LINES;
    if (s->format == RV_TAGS_COLUMNS) s->columns = rv__columns_of(s->name, t);
    s->columns.ragged = true;
}

static rv_status run_text(session *s, const rv_text *t) {
    rv_status status = RV_OK;
    int64_t number = 0;
    size_t whole;
    choose_format_of_text(s, t);
    for (size_t at = 0; at < t->len && status == RV_OK; at += whole) {
        const size_t len = rv_text_line(t->bytes + at, t->len - at, &whole);
        status = take_line(s, t->bytes + at, len, whole, ++number);
        const bool full = s->n_sentences >= WINDOW || s->n_lines >= WINDOW_LINES;
        if (status == RV_OK && full && !s->open) status = finish_window(s);
    }
    if (status == RV_OK) status = finish_window(s);
    if (status == RV_OK && s->in_parts)
        rv_info("%lld sentence%s longer than the model takes (data.max_length): tagged in parts",
                (long long)s->in_parts, s->in_parts == 1 ? " is" : "s are");
    return status;
}

/* ---- standard input, as it comes */

/* Its lines since the last sentence was told; those before the first that tells the format wait for it. */
typedef struct {
    rv_text *line;
    int64_t n, room, taken, number;
} kept;

/* How columns are parted is known only as far as lines have come. */
static void learn_columns(session *s, const rv_text *t, int64_t number) {
    const rv__columns one = rv__columns_of(s->name, t);
    s->columns.path = s->name;
    s->columns.ragged = true;
    s->columns.tabs |= one.tabs;
    if (!s->columns.columns) s->columns.columns = one.columns, s->columns.at = number;
}

static rv_status take_kept(session *s, kept *k) {
    for (; k->taken < k->n; k->taken++) {
        const rv_text *t = &k->line[k->taken];
        size_t whole;
        const size_t len = rv_text_line(t->bytes, t->len, &whole);
        k->number++;
        if (s->format == RV_TAGS_COLUMNS) learn_columns(s, t, k->number);
        RV_TRY(take_line(s, t->bytes, len, whole, k->number));
    }
    return RV_OK;
}

static void drop_kept(kept *k) {
    while (k->n) free(k->line[--k->n].bytes);
    k->taken = 0;
}

static rv_status tell_kept(session *s, kept *k) {
    RV_TRY(finish_window(s));
    drop_kept(k);
    return fflush(s->out) ? rv_error(RV_EDATA, "cannot write: %s", strerror(errno)) : RV_OK;
}

/* Of a line that was read, which is the kept ones' now. */
static rv_status add_kept(session *s, kept *k, char *text, size_t len) {
    rv_status status = grow(&k->line, k->n, &k->room, sizeof *k->line);
    if (status != RV_OK) {
        free(text);
        return status;
    }
    k->line[k->n++] = (rv_text){text, len};
    size_t whole;
    choose_format(s, text, rv_text_line(text, len, &whole));
    if (s->format == RV_TAGS_AUTO && k->n < WINDOW_LINES) return RV_OK;
    if (s->format == RV_TAGS_AUTO) s->format = RV_TAGS_LINES;
    RV_TRY(take_kept(s, k));
    return s->open ? RV_OK : tell_kept(s, k);
}

/* Each sentence as soon as it has come; its lines are kept until then. */
static rv_status run_stream(session *s) {
    kept k = {0};
    char *text = NULL;
    size_t room = 0;
    ssize_t got;
    rv_status status = RV_OK;
    for (bool first = true; status == RV_OK && (got = getline(&text, &room, stdin)) > 0; first = false) {
        size_t len = (size_t)got;
        const size_t mark = first ? rv_text_mark(text, len) : 0;
        if (mark == len) break; /* a byte order mark and nothing more */
        memmove(text, text + mark, len -= mark);
        status = add_kept(s, &k, text, len);
        text = NULL, room = 0;
    }
    free(text);
    if (status == RV_OK && ferror(stdin))
        status = rv_error(RV_EDATA, "cannot read standard input: %s", strerror(errno));
    if (s->format == RV_TAGS_AUTO) s->format = RV_TAGS_LINES;
    if (status == RV_OK) status = take_kept(s, &k);
    if (status == RV_OK && s->n_lines) status = tell_kept(s, &k);
    drop_kept(&k);
    free(k.line);
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
    const rv_status status = put_object(s, o);
    json_decref(o);
    return status;
}

static rv_status run_part(session *s) {
    const bool valid = s->job->from.split && !strcmp(s->job->from.split, "valid");
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
    s->column = rv_config_is(c, "data.tags", "xpos")    ? RV__CONLLU_XPOS
                : rv_config_is(c, "data.tags", "feats") ? RV__CONLLU_FEATS
                                                        : RV__CONLLU_UPOS;
    if (rv_config_has(c, "data.word_column")) s->word_column = (int)rv_config_int(c, "data.word_column") - 1;
    s->tag_name = rv_task_source(s->job->trained->task)->class_name;
}

/* What does not go together, before the output is emptied. */
static rv_status check(const rv__tags_job *job) {
    const bool data = rv__lines_of_data(&job->from);
    if (job->n_best > 1 && !job->json)
        return rv_error(RV_EUSAGE, "--nbest has no place in lines of tags; give --json, too");
    if (data && (job->n_best > 1 || job->format != RV_TAGS_AUTO))
        return rv_error(RV_EUSAGE, "--%s is of sentences that are given; name a file with --input",
                        job->n_best > 1 ? "nbest" : "format");
    return rv__lines_apart(&job->from, job->output);
}

static rv_status run(session *s, const rv_text *text) {
    const rv__tags_job *job = s->job;
    if (job->output && !(s->out = fopen(job->output, "we")))
        return rv_error(RV_EUSAGE, "cannot write %s: %s", job->output, strerror(errno));
    const rv_status status = job->from.from_stdin ? run_stream(s) : job->from.file ? run_text(s, text) : run_part(s);
    return close_output(s, status);
}

rv_status rv__tags_run(const rv__tags_job *job) {
    session s = {.job = job, .format = job->format, .out = stdout};
    s.name = job->from.file ? job->from.file : "standard input";
    settings(&s);
    RV_TRY(check(job));
    if (!(s.tape = rv_tape_create())) return RV_ENOMEM;
    rv_text text = {0};
    rv_status status = RV_OK; /* what is asked for is read before the output is emptied */
    if (job->from.file) status = rv_text_load(strcmp(job->from.file, "-") ? job->from.file : "/dev/stdin", &text);
    if (status == RV_OK) status = run(&s, &text);
    rv_text_free(&text);
    free(s.lines);
    free(s.words);
    free(s.sentence);
    rv_tape_destroy(s.tape);
    return status;
}
