#include "train/take.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "io/items.h"
#include "train/source_private.h"
#include "train/take_private.h"

enum { NAME = 512, SHOWN = 8, LIST = 1024 };

typedef struct {
    rv_params *ps;
    rv__names names; /* the model's, with those of shared tables */
    rv_items own;    /* what this run's checkpoints have of the task: its vocabulary */
    /* of one entry: */
    const char *from, *take, *as;
    rv__source source;
    bool *used;  /* of the source's tensors */
    bool *given; /* of the model's */
    int tensors;
    int64_t numbers;
} taker;

static const char *name_of(const void *ctx, int i) { return ((const rv_params *)ctx)->p[i]->name; }

/* ---- one tensor */

/* The name there of what is `name` here: `take` in the place of `as`. False if it is not below that. */
static bool there(const taker *t, const char *name, char out[NAME]) {
    if (!rv__part_has(t->as, name)) return false;
    const char *rest = name + strlen(t->as);
    if (*rest == '.') rest++;
    snprintf(out, NAME, "%s%s%s", t->take, *t->take && *rest ? "." : "", rest);
    return true;
}

/* Where the model's tensor p comes from: the source's tensor, or -1. A table that the model shares is looked for under
 * its own name first. *here and `from`: the names that met. */
static int match(const taker *t, int p, const char **here, char from[NAME]) {
    for (int k = 0; k < t->names.n; k++) {
        if (t->names.tensor[k] != p || !there(t, t->names.name[k], from)) continue;
        const int found = rv__names_find(&t->source.names, from);
        if (found < 0) continue;
        *here = t->names.name[k];
        return found;
    }
    return -1;
}

/* The side whose vocabulary a tensor has a row for each token of; NULL if it is not of a vocabulary. */
static const char *side_of(const char *name) {
    if (!strcmp(name, "encoder.embedding.weight")) return "src";
    if (!strcmp(name, "encoder.letters.embedding.weight")) return "letters";
    if (!strcmp(name, "decoder.embedding.weight") || rv__part_has("head", name)) return "tgt";
    return NULL;
}

static const rv_ck_item *find_item(const rv_items *items, const rv_checkpoint *saved, const char *path) {
    if (saved) return rv_checkpoint_find(saved, path);
    for (int i = 0; i < items->n; i++)
        if (!strcmp(items->item[i].path, path)) return &items->item[i];
    return NULL;
}

/* A text of the vocabulary of a side, of its own or joint; NULL where there is none. */
static const rv_ck_item *vocabulary(const taker *t, bool source, const char *side, const char *text) {
    char own[64], joint[64];
    snprintf(own, sizeof own, "/tokenizer/%s/%s", side, text);
    snprintf(joint, sizeof joint, "/tokenizer/%s", text);
    const rv_checkpoint *saved = source ? t->source.saved : NULL;
    const rv_ck_item *it = find_item(&t->own, saved, own);
    return it || !strcmp(side, "letters") ? it : find_item(&t->own, saved, joint);
}

/* A row of one class would become another's. */
static rv_status check_classes(const taker *t, const char *from, const rv_ck_item *a, const rv_ck_item *b) {
    if (!a || !b || (rv_ck_count(a) == rv_ck_count(b) && !memcmp(a->data, b->data, (size_t)rv_ck_count(a))))
        return RV_OK; /* what is not of classes on both sides differs in shape, or fits by chance */
    return rv_error(RV_ECKPT, "%s: %s is of other classes than this run's; take parts without the output layer",
                    t->source.path, from);
}

/* A row of one vocabulary's token would become another token's. */
static rv_status check_vocabulary(const taker *t, const char *here, const char *from) {
    static const char *const texts[] = {"vocab", "merges"};
    const rv_ck_item *told = t->source.saved ? rv_checkpoint_find(t->source.saved, rv__classes_path) : NULL;
    const rv_ck_item *wanted = find_item(&t->own, NULL, rv__classes_path);
    if ((told || wanted) && (rv__part_has("head", here) || rv__part_has("head", from)))
        return check_classes(t, from, told, wanted);
    const char *side = side_of(here), *other = side_of(from);
    for (int i = 0; i < 2 && side && other && t->source.saved; i++) {
        const rv_ck_item *a = vocabulary(t, true, other, texts[i]), *b = vocabulary(t, false, side, texts[i]);
        if (!a || !b) return RV_OK; /* numbers have none */
        const int64_t n = rv_ck_count(a), m = rv_ck_count(b);
        const char *p = a->data, *q = b->data;
        if (n == m && !memcmp(p, q, (size_t)n)) continue;
        int64_t line = 1;
        for (int64_t at = 0; at < n && at < m && p[at] == q[at]; at++) line += p[at] == '\n';
        return rv_error(RV_ECKPT,
                        "%s: %s is of another vocabulary than this run's (%s, from line %lld on); with tokenizer.from "
                        "%s this run has the same one, or take parts without embeddings and output layer",
                        t->source.path, from, texts[i], (long long)line, t->from);
    }
    return RV_OK;
}

/* A table of learned positions, one row for each. (Local attention's matrix of that name is square: where its columns
 * fit, so do its rows.) */
static bool is_positions(const char *name) {
    static const char end[] = "position.weight";
    const size_t n = strlen(name);
    return n >= sizeof end - 1 && !strcmp(name + n - (sizeof end - 1), end);
}

static rv_status check_shape(const taker *t, const rv_param *p, const rv_ck_item *it, const char *from) {
    char here[RV_SHAPE_TEXT], there[RV_SHAPE_TEXT];
    rv_tensor shape = {.ndim = it->ndim};
    memcpy(shape.dim, it->dim, sizeof shape.dim);
    if (rv_same_shape(&p->t, &shape)) return RV_OK;
    if (is_positions(p->name) && it->ndim == 2 && it->dim[1] == p->t.dim[1]) {
        if (it->dim[0] >= p->t.dim[0]) return RV_OK;
        return rv_error(RV_ECKPT,
                        "%s: %s has %lld positions, and this model has %lld: make its sentences or sequences shorter "
                        "(data.max_length, train.batch.length), or take parts without it",
                        t->source.path, from, (long long)it->dim[0], (long long)p->t.dim[0]);
    }
    return rv_error(RV_ECKPT,
                    "%s: %s is of shape %s, and this model's %s %s: make the model as wide as that one, or take other "
                    "parts",
                    t->source.path, from, rv_shape_text(&shape, there, sizeof there), p->name,
                    rv_shape_text(&p->t, here, sizeof here));
}

static rv_status take_tensor(taker *t, int i, int found, const char *here, const char *from) {
    const rv_param *p = t->ps->p[i];
    const int64_t n = rv_numel(&p->t);
    rv_ck_item it;
    RV_TRY(check_vocabulary(t, here, from));
    RV_TRY(rv__source_describe(&t->source, found, &it));
    RV_TRY(check_shape(t, p, &it, from));
    RV_TRY(rv__source_read(&t->source, found, p->t.x, n));
    for (int64_t k = 0; k < n; k++)
        if (!isfinite(p->t.x[k]))
            return rv_error(RV_ECKPT, "%s: %s has a number that is not finite (element %lld): take another checkpoint",
                            t->source.path, from, (long long)k);
    t->used[found] = t->given[i] = true;
    t->tensors++;
    t->numbers += n;
    return RV_OK;
}

/* ---- one entry */

typedef struct {
    char text[LIST];
    int n;
} name_list;

static void add_name(name_list *l, const char *name) {
    const size_t used = strlen(l->text);
    if (l->n++ < SHOWN) snprintf(l->text + used, LIST - used, "%s%s", used ? ", " : "", name);
}

/* "a, b and 3 more" */
static const char *listed(name_list *l) {
    const size_t used = strlen(l->text);
    if (l->n > SHOWN) snprintf(l->text + used, LIST - used, " and %d more", l->n - SHOWN);
    return l->text;
}

/* What of the part there has no place here, and what of the part here got nothing. */
static void list_left(const taker *t, name_list *there, name_list *here) {
    const rv__names *s = &t->source.names;
    *there = *here = (name_list){0};
    for (int k = 0; k < s->n; k++)
        if (rv__part_has(t->take, s->name[k]) && !t->used[s->tensor[k]]) add_name(there, s->name[k]);
    for (int i = 0; i < t->ps->n; i++)
        if (rv__part_has(t->as, t->ps->p[i]->name) && !t->given[i]) add_name(here, t->ps->p[i]->name);
}

static rv_status check_parts(const taker *t) {
    char hint[LIST];
    if (!rv__part_count(&t->source.names, t->take))
        return rv_error(RV_EUSAGE, "%s has no part '%s'%s", t->source.path, t->take,
                        rv__part_suggest(&t->source.names, t->take, hint, sizeof hint));
    if (!rv__part_count(&t->names, t->as))
        return rv_error(RV_EUSAGE, "this model has no part '%s'%s", t->as,
                        rv__part_suggest(&t->names, t->as, hint, sizeof hint));
    return RV_OK;
}

static void report(const taker *t) {
    name_list there, here;
    char as[NAME] = "";
    if (strcmp(t->take, t->as)) snprintf(as, sizeof as, " as %s", *t->as ? t->as : "all");
    rv_info("init: %s of %s%s: %d tensors taken, %lld parameters", *t->take ? t->take : "all", t->source.path, as,
            t->tensors, (long long)t->numbers);
    list_left(t, &there, &here);
    if (there.n) rv_info("init: it has, without a place here: %s", listed(&there));
    if (here.n) rv_info("init: it has nothing for %s", listed(&here));
}

static rv_status take_all(taker *t) {
    char from[NAME];
    const char *here;
    RV_TRY(check_parts(t));
    for (int i = 0; i < t->ps->n; i++) {
        const int found = match(t, i, &here, from);
        if (found >= 0) RV_TRY(take_tensor(t, i, found, here, from));
    }
    if (t->tensors) {
        report(t);
        return RV_OK;
    }
    name_list lost, without;
    list_left(t, &lost, &without);
    return rv_error(RV_EUSAGE, "nothing of %s%s%s has a place in this model%s%s: there is %s, and here %s",
                    t->source.path, *t->take ? "'s " : "", t->take, *t->as ? "'s " : "", t->as, listed(&lost),
                    listed(&without));
}

static rv_status take_entry(taker *t, const rv_config *c, int i) {
    t->from = rv_config_entry_text(c, "init", i, "from");
    t->take = rv_config_entry_text(c, "init", i, "take");
    t->as = rv_config_entry_text(c, "init", i, "as");
    t->take = t->take ? t->take : "";
    t->as = t->as ? t->as : t->take;
    t->tensors = 0;
    t->numbers = 0;
    rv_status status = rv__source_open(t->from, &t->source);
    if (status == RV_OK) {
        t->used = calloc((size_t)t->source.n, sizeof *t->used);
        t->given = calloc((size_t)t->ps->n, sizeof *t->given);
        status = t->used && t->given ? take_all(t) : rv_error(RV_ENOMEM, "no memory to take parts of %s", t->from);
        free(t->used);
        free(t->given);
        rv__source_close(&t->source);
    }
    char where[1024];
    rv_yaml_where(rv_config_entry_at(c, "init", i), where, sizeof where);
    return status == RV_OK ? RV_OK : rv_error_context(status, "%s: init: ", where);
}

rv_status rv_take_parts(const rv_config *c, rv_task *task, rv_params *ps) {
    const int n = rv_config_count(c, "init");
    if (!n) return RV_OK;
    taker t = {.ps = ps};
    rv_status status = rv__names_make(ps->n, name_of, ps, true, &t.names);
    if (status == RV_OK) status = rv_task_save(task, &t.own);
    if (status == RV_OK) status = rv_items_status(&t.own);
    for (int i = 0; i < n && status == RV_OK; i++) status = take_entry(&t, c, i);
    rv_items_free(&t.own);
    rv__names_free(&t.names);
    return status;
}
