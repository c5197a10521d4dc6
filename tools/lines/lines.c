#define _GNU_SOURCE
#include "lines/lines.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- what is asked for */

void rv__lines_check(const rv__lines_from *from, struct argp_state *state) {
    if ((from->file != NULL) + (from->split != NULL) + from->from_stdin > 1)
        argp_error(state, "--input, --stdin and --split exclude one another");
    if (from->split && strcmp(from->split, "test") && strcmp(from->split, "valid"))
        argp_error(state, "--split takes test or valid, not '%s'", from->split);
}

bool rv__lines_of_data(const rv__lines_from *from) { return !from->file && !from->from_stdin; }

/* ---- output */

rv_status rv__lines_apart(const rv__lines_from *from, const char *output) {
    struct stat in, out;
    if (!output || rv__lines_of_data(from) || stat(output, &out) || !S_ISREG(out.st_mode)) return RV_OK;
    const bool standard = from->from_stdin || !strcmp(from->file, "-");
    if (standard ? fstat(STDIN_FILENO, &in) : stat(from->file, &in)) return RV_OK;
    if (in.st_dev != out.st_dev || in.st_ino != out.st_ino) return RV_OK;
    return rv_error(RV_EUSAGE, "--output %s is the input, too, which would be lost; write to another file", output);
}

static rv_status cannot_write(const rv__lines *l, rv_status kind) {
    return rv_error(kind, "cannot write to %s: %s", l->out_path ? l->out_path : "standard output", strerror(errno));
}

rv_status rv__lines_output(rv__lines *l, const rv__lines_from *from, const char *path) {
    l->out_path = path;
    return rv__lines_apart(from, path);
}

/* A file is emptied by that, so it waits until the input is known to be there. */
static rv_status open_output(rv__lines *l) {
    l->out = l->out_path ? fopen(l->out_path, "we") : stdout;
    return l->out ? RV_OK : cannot_write(l, RV_EUSAGE);
}

rv_status rv__lines_close(rv__lines *l, rv_status status) {
    const bool bad = l->out && l->out != stdout && fclose(l->out);
    return bad && status == RV_OK ? cannot_write(l, RV_EDATA) : status;
}

void rv__lines_done(rv__lines *l, int64_t i, rv_text text) {
    l->text[i] = text;
    l->done++;
    l->done_tokens += l->window[i].n;
    if (l->bar && l->done % l->batch == 0) /* a batch is done all at once */
        rv_progress_update(l->bar, l->done_tokens, "%lld %ss", (long long)l->done, l->unit);
}

/* ---- work */

static rv_status work_on_window(rv__lines *l, int64_t n) {
    const int32_t **ids = calloc((size_t)n, sizeof *ids);
    int64_t *lengths = calloc((size_t)n, sizeof *lengths);
    l->text = calloc((size_t)n, sizeof *l->text);
    rv_status status =
        ids && lengths && l->text ? RV_OK : rv_error(RV_ENOMEM, "no memory for %lld %ss", (long long)n, l->unit);
    for (int64_t i = 0; status == RV_OK && i < n; i++) {
        ids[i] = l->window[i].ids;
        lengths[i] = l->window[i].n;
    }
    if (status == RV_OK) status = l->work(l, ids, lengths, n);
    for (int64_t i = 0; i < n && l->text; i++) {
        if (status == RV_OK) fwrite(l->text[i].bytes, 1, l->text[i].len, l->out);
        rv_text_free(&l->text[i]);
    }
    free(l->text);
    free(ids);
    free(lengths);
    if (status == RV_OK && (fflush(l->out) || ferror(l->out))) status = cannot_write(l, RV_EDATA);
    return status;
}

/* A window holds many batches: they are of like length, and the first lines still appear soon. */
static rv_status work_on_all(rv__lines *l, const rv__sentences *all) {
    enum { BATCHES = 32 };
    rv_status status = RV_OK;
    double start = rv_now();
    int64_t tokens = 0;
    for (int64_t i = 0; i < all->n; i++) tokens += all->s[i].n;
    for (int64_t i = 0, n; i < all->n && status == RV_OK; i += n) {
        n = all->n - i < BATCHES * l->batch ? all->n - i : BATCHES * l->batch;
        l->window = all->s + i;
        /* The bar counts tokens, since the long sentences of a window come first. It is not there while a window is
         * printed: both may be one terminal. */
        l->bar = rv_progress_start(l->doing, "tokens", l->done_tokens, tokens);
        status = work_on_window(l, n);
        rv_progress_finish(l->bar);
    }
    if (status == RV_OK)
        rv_info("%lld %s%s in %.1f s", (long long)all->n, l->unit, all->n == 1 ? "" : "s", rv_now() - start);
    return status;
}

static rv_status work_on_stdin(rv__lines *l) {
    char *line = NULL;
    size_t room = 0;
    ssize_t len;
    rv_status status = RV_OK;
    for (int64_t n = 1; status == RV_OK && (len = getline(&line, &room, stdin)) >= 0; n++) {
        const size_t mark = n == 1 ? rv_text_mark(line, (size_t)len) : 0;
        size_t whole, length = rv_text_line(line + mark, (size_t)len - mark, &whole);
        rv__sentences one;
        if (!whole) break; /* a byte order mark and nothing more */
        status = rv__sentences_line("standard input", n, line + mark, length, l->tokenizer, l->most, &one);
        l->window = one.s;
        if (status == RV_OK) status = work_on_window(l, 1);
        rv__sentences_free(&one);
    }
    if (status == RV_OK && ferror(stdin))
        status = rv_error(RV_EDATA, "cannot read standard input: %s", strerror(errno));
    free(line);
    return status;
}

static rv_status finish(rv__lines *l) { return l->finish ? l->finish(l) : RV_OK; }

rv_status rv__lines_run(rv__lines *l, const rv__lines_from *from, rv_source *source) {
    if (from->from_stdin) {
        RV_TRY(open_output(l));
        RV_TRY(work_on_stdin(l));
        return finish(l);
    }
    rv__sentences all;
    const char *split = from->split ? from->split : "test";
    const rv_subset subset = strcmp(split, "test") ? RV_SUBSET_VALID : RV_SUBSET_TEST;
    rv_status status = from->file ? rv__sentences_load(from->file, l->tokenizer, l->most, &all)
                                  : rv__sentences_part(source->kind->pairs(source, subset), split, &all);
    if (status == RV_OK) status = open_output(l);
    if (status == RV_OK) status = work_on_all(l, &all);
    if (status == RV_OK) status = finish(l);
    rv__sentences_free(&all);
    return status;
}
