#include <stdlib.h>
#include <string.h>

#include "data/labels.h"
#include "data/pairs_private.h"
#include "data/table_private.h"

/* ---- layout ---- */

rv_status rv__table_layout_make(const rv_table_files *f, rv__table_layout *out) {
    const bool csv = f->format == RV_TABLE_CSV;
    const int label = f->label_column ? f->label_column : csv ? 1 : 2;
    *out = (rv__table_layout){.separator = csv ? ',' : '\t', .quotes = csv, .header = f->header, .label = label - 1};
    out->named = f->n_text || f->label_column;
    if (label < 1 || label > RV_TABLE_COLUMNS)
        return rv_error(RV_EUSAGE, "data.label_column %d: columns are 1 to %d", label, RV_TABLE_COLUMNS);
    if (f->n_text < 0 || f->n_text >= RV_TABLE_COLUMNS)
        return rv_error(RV_EUSAGE, "data.text_columns: %d columns, where 1 to %d can be", f->n_text,
                        RV_TABLE_COLUMNS - 1);
    for (int i = 0; i < f->n_text; i++) {
        const int column = f->text_columns[i];
        if (column < 1 || column > RV_TABLE_COLUMNS)
            return rv_error(RV_EUSAGE, "data.text_columns: column %d; they are 1 to %d", column, RV_TABLE_COLUMNS);
        if (column == label)
            return rv_error(RV_EUSAGE,
                            "data.text_columns: column %d is the label's; take another, or name that of the label "
                            "(data.label_column)",
                            column);
        for (int k = 0; k < i; k++)
            if (f->text_columns[k] == column) return rv_error(RV_EUSAGE, "data.text_columns: column %d twice", column);
        out->text[out->n_text++] = column - 1;
    }
    return RV_OK;
}

/* The first row of all tells how many columns there are. */
static rv_status begin_layout(rv__table_layout *l, const char *path, long long line, int columns) {
    int most = l->label;
    const char *key = "data.label_column";
    for (int i = 0; i < l->n_text; i++)
        if (l->text[i] > most) most = l->text[i], key = "data.text_columns";
    if (most >= columns)
        return rv_error(RV_EDATA, "%s:%lld: %d columns, but %s names column %d; correct the row or the key", path, line,
                        columns, key, most + 1);
    const bool all = !l->n_text;
    for (int i = 0; all && i < columns; i++)
        if (i != l->label) l->text[l->n_text++] = i;
    l->columns = columns, l->path = path, l->line = line;
    return RV_OK;
}

static rv_status check_columns(rv__table_layout *l, const char *path, long long line, int columns) {
    const bool tsv = !l->quotes;
    if (columns < 2 && tsv)
        return rv_error(RV_EDATA, "%s:%lld: no tab: each line must be text, one tab, label", path, line);
    if (columns < 2)
        return rv_error(RV_EDATA, "%s:%lld: one column, where label and text are two: part them by a comma", path,
                        line);
    if (tsv && !l->named && columns > 2)
        return rv_error(RV_EDATA,
                        "%s:%lld: several tabs: each line must be text, one tab, label; of more columns name those "
                        "wanted (data.text_columns: [1], data.label_column: 2)",
                        path, line);
    if (!l->columns) return begin_layout(l, path, line, columns);
    if (columns == l->columns) return RV_OK;
    return rv_error(RV_EDATA, "%s:%lld: %d columns, where %s:%lld has %d; %s", path, line, columns, l->path, l->line,
                    l->columns, tsv ? "a text can have no tab" : "a text with commas or quotes must stand in quotes");
}

/* ---- fields ---- */

typedef struct {
    const char *path;
    char *at, *end;
    long long line; /* of `at`, from 1 */
    char separator;
    bool quotes;
} reader;

/* The quote at r->at opens a field. What is kept of it moves to its start, over what quotes and ends of lines leave. */
static rv_status read_quoted(reader *r, rv_text *out, bool *last) {
    const long long opened = r->line;
    char *const start = r->at, *to = start, *s = start + 1;
    for (; s < r->end && (*s != '"' || (s + 1 < r->end && s[1] == '"')); s++) {
        if (*s == '\n') {
            while (to > start && to[-1] == '\r') to--;
            *to++ = ' ', r->line++;
        } else {
            *to++ = *s;
            s += *s == '"';
        }
    }
    if (s == r->end)
        return rv_error(RV_EDATA, "%s:%lld: a quote opens here that is never closed; write \"\" for a quote in a text",
                        r->path, opened);
    size_t whole, rest = rv_text_line(s + 1, (size_t)(r->end - s - 1), &whole);
    if (rest && s[1] != r->separator)
        return rv_error(RV_EDATA, "%s:%lld: text after a closing quote; write \"\" for a quote in a text", r->path,
                        r->line);
    *out = (rv_text){start, (size_t)(to - start)};
    *last = !rest;
    r->at = s + 1 + (rest ? 1 : whole);
    r->line += !rest;
    return RV_OK;
}

/* The field at r->at, which moves past it and what ends it; a NUL follows it then. */
static rv_status read_field(reader *r, rv_text *out, bool *last) {
    if (r->quotes && r->at < r->end && *r->at == '"') {
        RV_TRY(read_quoted(r, out, last));
    } else {
        size_t whole, len = rv_text_line(r->at, (size_t)(r->end - r->at), &whole);
        const char *mark = len ? memchr(r->at, r->separator, len) : NULL;
        *out = (rv_text){r->at, mark ? (size_t)(mark - r->at) : len};
        *last = !mark;
        r->at += mark ? out->len + 1 : whole;
        r->line += !mark;
    }
    out->bytes[out->len] = 0; /* rv_text_load leaves room for one after the last byte */
    return RV_OK;
}

/* The next row's fields; *columns 0: there is none. *line is its first one. */
static rv_status read_row(reader *r, rv_text field[RV_TABLE_COLUMNS], int *columns, long long *line) {
    for (size_t whole; r->at < r->end && !rv_text_line(r->at, (size_t)(r->end - r->at), &whole); r->at += whole)
        r->line++;
    *columns = 0, *line = r->line;
    for (bool last = r->at == r->end; !last;) {
        if (*columns == RV_TABLE_COLUMNS)
            return rv_error(RV_EDATA, "%s:%lld: over %d columns; is the data set's format right?", r->path, *line,
                            RV_TABLE_COLUMNS);
        RV_TRY(read_field(r, &field[(*columns)++], &last));
    }
    return RV_OK;
}

/* ---- rows ---- */

/* The columns of text as one; several are joined behind what `store` holds, which has room for them. */
static rv_text join(const rv__table_layout *l, const rv_text field[], rv_text *store) {
    if (l->n_text == 1) return field[l->text[0]];
    rv_text out = {store->bytes + store->len, 0};
    for (int i = 0; i < l->n_text; i++) {
        const rv_text f = field[l->text[i]];
        if (rv_text_is_blank(f.bytes, f.len)) continue;
        if (out.len) out.bytes[out.len++] = ' ';
        memcpy(out.bytes + out.len, f.bytes, f.len);
        out.len += f.len;
    }
    out.bytes[out.len] = 0;
    store->len += out.len + 1;
    return out;
}

static rv_status take_row(const rv__table_layout *l, const char *path, long long line, const rv_text field[],
                          rv_pairs *p) {
    const rv_text label = rv__label_of(field[l->label]);
    label.bytes[label.len] = 0;
    if (!label.len || memchr(label.bytes, 0, label.len))
        return rv_error(RV_EDATA, "%s:%lld: %s in column %d; correct the row, or take it out", path, line,
                        label.len ? "a label with a NUL" : "no label", l->label + 1);
    /* A row's texts joined, and a NUL, are no longer than the row: its label leaves at least a separator over. */
    if (l->n_text > 1 && !p->text[1].bytes && !(p->text[1].bytes = malloc(p->text[0].len + 1)))
        return rv_error(RV_ENOMEM, "%s: no memory for %zu bytes of text", path, p->text[0].len);
    p->src[p->n] = join(l, field, &p->text[1]);
    rv__side_empty_if_blank(&p->src[p->n]);
    p->tgt[p->n] = label;
    p->line[p->n++] = line - 1;
    return RV_OK;
}

/* Room for as many rows as there are lines. */
static rv_status make_rows(const char *path, rv_pairs *p) {
    size_t n = 1;
    for (size_t i = 0; i < p->text[0].len; i++) n += p->text[0].bytes[i] == '\n';
    p->src = malloc(n * sizeof *p->src);
    p->tgt = malloc(n * sizeof *p->tgt);
    p->line = malloc(n * sizeof *p->line);
    return p->src && p->tgt && p->line ? RV_OK : rv_error(RV_ENOMEM, "%s: no memory for %zu lines", path, n);
}

rv_status rv__table_read(rv__table_layout *l, const char *path, int n, const char *const *before, rv_pairs *p) {
    RV_TRY(rv_text_load_data(path, n, before, &p->text[0]));
    RV_TRY(make_rows(path, p));
    reader r = {.path = path, .at = p->text[0].bytes, .line = 1, .separator = l->separator, .quotes = l->quotes};
    r.end = r.at + p->text[0].len;
    bool names = l->header;
    for (;;) {
        rv_text field[RV_TABLE_COLUMNS];
        int columns;
        long long line;
        RV_TRY(read_row(&r, field, &columns, &line));
        if (!columns) break;
        RV_TRY(check_columns(l, path, line, columns));
        if (!names) RV_TRY(take_row(l, path, line, field, p));
        names = false;
    }
    p->lines = p->n;
    return RV_OK;
}
