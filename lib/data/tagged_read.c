#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/labels.h"
#include "data/tagged_private.h"
#include "data/word_lines.h"

void rv__tagged_words_free(rv__tagged_words *w) {
    free(w->at);
    free(w->form);
    free(w->tag);
    free(w->line);
    *w = (rv__tagged_words){0};
}

rv_status rv__tagged_check(const rv_tagged_files *f) {
    const struct {
        const char *key;
        int column;
    } keys[] = {{"word_column", f->word_column}, {"tag_column", f->tag_column}};
    for (int i = 0; i < 2; i++) {
        if (f->format == RV_TAGGED_CONLLU && keys[i].column)
            return rv_error(RV_EUSAGE,
                            "data.%s %d: files of CoNLL-U have their columns, and data.tags names that of "
                            "the tags",
                            keys[i].key, keys[i].column);
        if (keys[i].column < 0 || keys[i].column > RV__LINE_COLUMNS)
            return rv_error(RV_EUSAGE, "data.%s %d: columns are 1 to %d", keys[i].key, keys[i].column,
                            RV__LINE_COLUMNS);
    }
    if (f->tag_column && f->tag_column == (f->word_column ? f->word_column : 1))
        return rv_error(RV_EUSAGE, "data.tag_column %d: the words stand in that column; take another", f->tag_column);
    return RV_OK;
}

static const int conllu_field[] = {
    [RV_TAGGED_UPOS] = RV__CONLLU_UPOS, [RV_TAGGED_XPOS] = RV__CONLLU_XPOS, [RV_TAGGED_FEATS] = RV__CONLLU_FEATS};

const char *rv__tagged_column(const rv_tagged_files *f, char *buf, size_t size) {
    if (f->format == RV_TAGGED_CONLLU)
        snprintf(buf, size, "column %d (data.tags)", conllu_field[f->field] + 1);
    else if (f->tag_column)
        snprintf(buf, size, "column %d (data.tag_column)", f->tag_column);
    else
        snprintf(buf, size, "the last column (data.tag_column)");
    return buf;
}

/* ---- one file ---- */

/* A file being read. Its sentences are written over its lines, of which they are never the longer: a word's line has
 * its tag, too, and something between them. */
typedef struct {
    const rv_tagged_files *files;
    const char *path;
    rv__intern *forms, *tags;
    rv_pairs *p;
    rv__tagged_words *w;
    rv__columns columns;
    char *to;      /* behind the sentence that is being written */
    int64_t words; /* read */
    bool begun;    /* so many of this sentence */
} reader;

/* A word is told in lines and kept as a string. */
static rv_status check_word(const reader *r, long long line, const char *what, rv_text field, int column) {
    if (field.len && !memchr(field.bytes, 0, field.len)) return RV_OK;
    return rv_error(RV_EDATA, "%s:%lld: %s%s in column %d; correct the line", r->path, line,
                    field.len ? "a NUL in the " : "no ", what, column + 1);
}

/* Which columns of the line are word and tag, from 0. */
static rv_status find_columns(const reader *r, long long line, int columns, int *word, int *tag) {
    const rv_tagged_files *f = r->files;
    *word = RV__CONLLU_FORM, *tag = conllu_field[f->field];
    if (f->format == RV_TAGGED_CONLLU) return RV_OK;
    *word = f->word_column ? f->word_column - 1 : 0;
    *tag = f->tag_column ? f->tag_column - 1 : columns - 1;
    const bool no_word = *word >= columns;
    if (no_word || *tag >= columns)
        return rv_error(RV_EDATA, "%s:%lld: %d columns, but data.%s names column %d; correct the line or the key",
                        r->path, line, columns, no_word ? "word_column" : "tag_column", (no_word ? *word : *tag) + 1);
    if (*word != *tag) return RV_OK;
    return rv_error(RV_EDATA,
                    "%s:%lld: column %d has the words (data.word_column) and is the last, where tags are looked for: "
                    "name their column (data.tag_column)",
                    r->path, line, *word + 1);
}

static rv_status take_word(reader *r, long long line, const rv__word_line *l) {
    int word, tag;
    RV_TRY(find_columns(r, line, l->columns, &word, &tag));
    const rv_text form = rv__field_trim(l->field[word]), label = rv__label_of(l->field[tag]);
    RV_TRY(check_word(r, line, "word", form, word));
    RV_TRY(check_word(r, line, "tag", label, tag));
    const int32_t form_number = rv__intern_add(r->forms, form.bytes, form.len);
    const int32_t tag_number = form_number < 0 ? -1 : rv__intern_add(r->tags, label.bytes, label.len);
    if (tag_number < 0) return RV_ENOMEM;
    if (r->tags->n > RV_TAGGED_TAGS) {
        char column[64];
        return rv_error(RV_EDATA, "%s:%lld: '%.*s' is one tag over %d; are tags in %s?", r->path, line,
                        (int)rv_utf8_offset(label.bytes, label.len, 40), label.bytes, RV_TAGGED_TAGS,
                        rv__tagged_column(r->files, column, sizeof column));
    }
    r->w->form[r->words] = form_number, r->w->tag[r->words] = tag_number, r->w->line[r->words++] = line;
    if (r->begun)
        *r->to++ = ' ';
    else
        r->p->src[r->p->n].bytes = r->to;
    memmove(r->to, form.bytes, form.len); /* the line is done with */
    r->to += form.len;
    r->begun = true;
    return RV_OK;
}

static void end_sentence(reader *r) {
    rv_pairs *p = r->p;
    if (!r->begun) return;
    p->src[p->n].len = (size_t)(r->to - p->src[p->n].bytes);
    *r->to++ = 0;
    p->line[p->n] = p->n;
    r->w->at[++p->n] = r->words;
    r->begun = false;
}

/* Words are numbered from 1 in each sentence, so that one that is missing shows. */
static rv_status check_id(const reader *r, long long line, long id) {
    const long want = r->begun ? (long)(r->words - r->w->at[r->p->n]) + 1 : 1;
    if (id == want) return RV_OK;
    return rv_error(
        RV_EDATA,
        "%s:%lld: word %ld, where %ld is due: a sentence's words count 1, 2, 3; correct the ids, or put the "
        "missing %s before it",
        r->path, line, id, want, id == 1 ? "empty line" : "words");
}

static rv_status take_line(reader *r, long long line, char *s, size_t len) {
    const bool conllu = r->files->format == RV_TAGGED_CONLLU;
    rv__word_line l;
    RV_TRY(conllu ? rv__conllu_line(r->path, line, s, len, &l) : rv__columns_line(&r->columns, line, s, len, &l));
    if (l.kind == RV__LINE_END) end_sentence(r);
    if (l.kind != RV__LINE_WORD) return RV_OK;
    if (conllu) RV_TRY(check_id(r, line, l.first));
    return take_word(r, line, &l);
}

/* Room for as many words and sentences as there are lines. */
static rv_status make_room(const char *path, rv_pairs *p, rv__tagged_words *w) {
    size_t n = 2; /* a last line may have no end, and there are n + 1 offsets */
    for (size_t i = 0; i < p->text[0].len; i++) n += p->text[0].bytes[i] == '\n';
    p->src = malloc(n * sizeof *p->src);
    p->line = malloc(n * sizeof *p->line);
    w->at = malloc(n * sizeof *w->at);
    w->form = malloc(n * sizeof *w->form);
    w->tag = malloc(n * sizeof *w->tag);
    w->line = malloc(n * sizeof *w->line);
    if (!p->src || !p->line || !w->at || !w->form || !w->tag || !w->line)
        return rv_error(RV_ENOMEM, "%s: no memory for %zu lines", path, n);
    w->at[0] = 0;
    return RV_OK;
}

rv_status rv__tagged_read(const rv_tagged_files *files, const char *path, int n, const char *const *before,
                          rv__intern *forms, rv__intern *tags, rv_pairs *p, rv__tagged_words *w) {
    RV_TRY(rv_text_load_data(path, n, before, &p->text[0]));
    RV_TRY(make_room(path, p, w));
    const rv_text *text = &p->text[0];
    reader r = {.files = files, .path = path, .forms = forms, .tags = tags, .p = p, .w = w, .to = text->bytes};
    if (files->format == RV_TAGGED_COLUMNS) r.columns = rv__columns_of(path, text);
    long long line = 1;
    for (size_t at = 0, whole; at < text->len; at += whole, line++) {
        char *s = text->bytes + at;
        const size_t len = rv_text_line(s, text->len - at, &whole);
        RV_TRY(take_line(&r, line, s, len));
    }
    end_sentence(&r);
    p->lines = p->n;
    return RV_OK;
}
