/* Whether a run goes on as it began, and whether checkpoints are of one model: settings compared key by key. */
#define _GNU_SOURCE /* memmem */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "train/optim_config.h"
#include "train/run_state.h"

/* A checkpoint's configuration as this version reads it: keys that came after it have their defaults. */
static rv_status saved_config(const rv_checkpoint *saved, rv_config **out) {
    const char *path = rv_checkpoint_path(saved);
    const rv_ck_item *it = rv_checkpoint_find(saved, "/config/resolved");
    if (!it) return rv_error(RV_ECKPT, "%s holds no configuration; it was not written by ravel train", path);
    rv_status status = rv_config_parse(path, it->data, (size_t)rv_ck_count(it), 0, NULL, out);
    if (status == RV_OK || status == RV_ENOMEM) return status;
    return rv_error_context(RV_ECKPT, "the checkpoint's configuration is not of this version: ");
}

/* ---- two configurations, key by key */

enum { SHOWN = 60, TEXT = 2048 };

typedef struct {
    char **text; /* of each key of the schema; NULL where it has none */
    int n, room;
    bool no_memory;
    /* The second walk, beside the first one's texts: */
    const char *const *sections; /* what counts, ended by NULL; first, with '!' before, keys that do not */
    const char *now;             /* the word between the values */
    char differences[TEXT];
} walk;

static void remember(void *ctx, const char *path, const char *text) {
    (void)path;
    walk *w = ctx;
    if (w->n == w->room) {
        char **more = realloc(w->text, (size_t)(w->room = 2 * w->room + 64) * sizeof *more);
        if (!more)
            w->no_memory = true;
        else
            w->text = more;
    }
    if (w->no_memory) return;
    w->text[w->n] = text ? strdup(text) : NULL;
    w->no_memory = text && !w->text[w->n];
    w->n++;
}

static bool is_in(const char *path, const char *const *sections) {
    for (; *sections; sections++) {
        if (**sections == '!' && !strcmp(*sections + 1, path)) return false;
        size_t n = strlen(*sections);
        if (!strncmp(path, *sections, n) && (path[n] == '.' || !path[n])) return true;
    }
    return false;
}

static const char *shown(const char *text, char buf[SHOWN + 4]) {
    if (!text) return "not given";
    snprintf(buf, SHOWN + 4, "%.*s%s", SHOWN, text, strlen(text) > SHOWN ? "..." : "");
    return buf;
}

static void compare(void *ctx, const char *path, const char *text) {
    walk *w = ctx;
    const char *then = w->text[w->n++];
    if (!is_in(path, w->sections) || (!then && !text) || (then && text && !strcmp(then, text))) return;
    char a[SHOWN + 4], b[SHOWN + 4];
    size_t used = strlen(w->differences);
    snprintf(w->differences + used, TEXT - used, "%s%s %s (%s %s)", used ? ", " : "", path, shown(then, a), w->now,
             shown(text, b));
}

/* "key then (now value), ..." of all keys below `sections` whose values differ; empty if none does. */
static rv_status differences(const rv_config *then, const rv_config *now, const char *word, const char *const *sections,
                             char out[TEXT]) {
    walk w = {.sections = sections, .now = word};
    rv_status status = rv_config_each(then, remember, &w);
    const int keys = w.n;
    if (status == RV_OK && w.no_memory) status = rv_error(RV_ENOMEM, "no memory to compare settings");
    w.n = 0;
    if (status == RV_OK) status = rv_config_each(now, compare, &w);
    for (int i = 0; i < keys; i++) free(w.text[i]);
    free(w.text);
    snprintf(out, TEXT, "%s", w.differences);
    return status;
}

/* ---- going on */

/* The rate of the next update by a configuration's schedule. */
static rv_status next_rate(const rv_config *c, const rv_checkpoint *saved, double *rate) {
    rv_schedule schedule;
    rv_schedule_state state = {0};
    RV_TRY(
        rv_schedule_from_config(c, false, &schedule)); /* which way is better matters to plateau's observations alone */
    RV_TRY(rv_checkpoint_read(saved, "/trainer/schedule_cuts", RV_CK_I64, 1, &state.cuts));
    *rate = rv_schedule_lr(&schedule, &state, rv_checkpoint_step(saved) + 1);
    return RV_OK;
}

/* A longer cosine, another schedule or rate: the jump is what matters, not the key that caused it. */
static rv_status warn_of_rate(const rv_config *then, const rv_config *now, const rv_checkpoint *saved) {
    double before, after;
    RV_TRY(next_rate(then, saved, &before));
    RV_TRY(next_rate(now, saved, &after));
    if (before != after)
        rv_warn("the learning rate of step %lld is %.3g; by the settings that the run began with it would be %.3g",
                (long long)rv_checkpoint_step(saved) + 1, after, before);
    return RV_OK;
}

/* A key with an effect that the run did not have: its default is not what the run began with. */
static void warn_of_rare_words(const rv_config *config, const rv_checkpoint *saved) {
    static const char key[] = "replace_rare";
    const rv_ck_item *it = rv_checkpoint_find(saved, "/config/resolved");
    const bool known = it && memmem(it->data, (size_t)rv_ck_count(it), key, sizeof key - 1);
    if (!known && rv_config_has(config, "train.replace_rare") && rv_config_real(config, "train.replace_rare") > 0)
        rv_warn(
            "%s is of a version that had no train.replace_rare; with train.replace_rare=0 the run goes on as it began",
            rv_checkpoint_path(saved));
}

/* The same with what a checkpoint was trained with. */
static rv_status differences_from(const rv_checkpoint *saved, const rv_config *now, const char *word,
                                  const char *const *sections, char out[TEXT]) {
    rv_config *then;
    RV_TRY(saved_config(saved, &then));
    rv_status status = differences(then, now, word, sections, out);
    rv_config_destroy(then);
    return status;
}

/* What became of `init`, where it came or went: parts are taken before the first step. NULL if it is as it was. */
static rv_status init_change(const rv_checkpoint *saved, const rv_config *now, const char **how) {
    rv_config *then;
    *how = NULL;
    RV_TRY(saved_config(saved, &then));
    const bool had = rv_config_has(then, "init");
    rv_config_destroy(then);
    if (had == rv_config_has(now, "init")) return RV_OK;
    *how = had ? "began with parts of trained models (init), which are now left out"
               : "began without init, and a model takes parts of others only before its first step";
    return RV_OK;
}

rv_status rv_run_check_config(const rv_config *config, const rv_checkpoint *saved) {
    /* Another value is another run; but a run has its vocabulary and its first weights, wherever they came from. */
    static const char *const fixed[] = {
        "!tokenizer.from", "!init.from", "!model.init.vectors", "task", "seed", "init", "model", "tokenizer", NULL};
    char text[TEXT];
    const char *init;
    RV_TRY(init_change(saved, config, &init));
    if (init)
        return rv_error(RV_ECKPT,
                        "%s: %s %s; put init back, or give the changed experiment another name or checkpoint.dir",
                        rv_config_where(config, "init"), rv_checkpoint_path(saved), init);
    RV_TRY(differences_from(saved, config, "the experiment says", fixed, text));
    if (!*text) return RV_OK;
    return rv_error(RV_ECKPT,
                    "%s was trained with %s; put the experiment back, or give the changed one another name or "
                    "checkpoint.dir",
                    rv_checkpoint_path(saved), text);
}

rv_status rv_run_check_assigned(const rv_config *config, const rv_checkpoint *saved) {
    static const char *const fixed[] = {"task", "init", "model", "tokenizer", NULL};
    char text[TEXT];
    const char *how;
    RV_TRY(init_change(saved, config, &how));
    if (how) return rv_error(RV_EUSAGE, "%s is trained, and %s: assign no init", rv_checkpoint_path(saved), how);
    RV_TRY(differences_from(saved, config, "assigned", fixed, text));
    if (!*text) return RV_OK;
    return rv_error(RV_EUSAGE, "%s is trained, with %s; what it is cannot be assigned any more: leave that out",
                    rv_checkpoint_path(saved), text);
}

rv_status rv_run_tell_changes(const rv_config *config, const rv_checkpoint *saved) {
    static const char *const noted[] = {"data", "train", NULL}; /* may change, and changes results */
    char text[TEXT];
    rv_config *then;
    RV_TRY(saved_config(saved, &then));
    rv_status status = differences(then, config, "from now on", noted, text);
    if (status == RV_OK && *text) rv_warn("%s was trained with %s", rv_checkpoint_path(saved), text);
    if (status == RV_OK && *text) status = warn_of_rate(then, config, saved);
    if (status == RV_OK) warn_of_rare_words(config, saved);
    rv_config_destroy(then);
    return status;
}

/* ---- one model */

/* Vocabularies and merges, which must be equal byte for byte: weights of a token would otherwise be mixed with
 * another's. */
static rv_status check_tokenizers(const rv_checkpoint *a, const rv_checkpoint *b) {
    int n = rv_checkpoint_count(a);
    for (int i = 0; i < n; i++) {
        const rv_ck_item *x = rv_checkpoint_item(a, i), *y = rv_checkpoint_find(b, x->path);
        if (strncmp(x->path, "/tokenizer/", 11)) continue;
        int64_t len = rv_ck_count(x), other = y ? rv_ck_count(y) : 0, at = 0, line = 1;
        if (y && len == other && !memcmp(x->data, y->data, (size_t)len)) continue;
        const char *p = x->data, *q = y ? y->data : "";
        for (; at < len && at < other && p[at] == q[at]; at++) line += p[at] == '\n';
        return rv_error(RV_ECKPT,
                        "%s and %s have different vocabularies (%s, from line %lld on): they are not of one model",
                        rv_checkpoint_path(a), rv_checkpoint_path(b), x->path, (long long)line);
    }
    return RV_OK;
}

rv_status rv_run_check_same_model(const rv_checkpoint *a, const rv_checkpoint *b) {
    static const char *const same[] = {"!tokenizer.from", "task", "model", "tokenizer", NULL};
    char text[TEXT];
    rv_config *x, *y;
    RV_TRY(saved_config(a, &x));
    rv_status status = saved_config(b, &y);
    if (status == RV_OK) {
        status = differences(x, y, "there", same, text);
        rv_config_destroy(y);
    }
    rv_config_destroy(x);
    RV_TRY(status);
    if (*text)
        return rv_error(RV_ECKPT, "%s and %s are not of one model: %s", rv_checkpoint_path(a), rv_checkpoint_path(b),
                        text);
    return check_tokenizers(a, b);
}
