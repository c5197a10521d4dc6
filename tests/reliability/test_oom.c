/* Out of memory gives a clear error: for every N, a tiny training run whose Nth allocation fails, once or from then on,
 * ends with a status and a message about memory; it never crashes or hangs, and leaves no checkpoint that does not
 * verify. A plain driver: it replaces malloc. [reliability: G4]   test_oom [LSTM|GPT|ADDING|CLASSES|PAIRS|TAGS|HMM [N
 * [once|on]]] does one of the runs, or shows one case. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ravel.h"

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t),
    *__libc_memalign(size_t, size_t);

enum { SECONDS_EACH = 30, STEPS = 3 };
#define TEXT "data: {path: text, train_fraction: 0.8}", "{size: 2, length: 6}"
#define NUMBERS "task: regression\ndata: {generator: adding, max_length: 6, valid_examples: 5}", "{size: 2}"
#define ROWS "task: classification\ndata: {path: rows}\ntokenizer: {type: word}\nmetrics: [loss, f1]", "{size: 4}"
#define PAIRS "task: translation\ndata: {path: rows}\ntokenizer: {type: word, joint: false}", "{size: 40}"
#define TAGGED                                                                                                         \
    "task: tagging\ndata: {path: tagged}\ntokenizer: {type: word}\nmetrics: [loss, f1, span_f1, unknown_accuracy]"
static const struct {
    const char *name, *model, *task, *batch;
} kinds[] = {
    {"LSTM", "{decoder: {type: rnn, cell: lstm, num_layers: 1, hidden_size: 8}, embedding_dim: 4, dropout: 0.1}", TEXT},
    {"GPT", "{decoder: {type: transformer, num_layers: 1, num_heads: 2, hidden_size: 8}, dropout: 0.1}", TEXT},
    {"ADDING", "{encoder: {type: transformer, num_layers: 1, num_heads: 2, hidden_size: 8}, pooling: attention}",
     NUMBERS},
    {"CLASSES", "{encoder: {type: rnn, cell: gru, num_layers: 1, hidden_size: 4}, embedding_dim: 4, pooling: mean}",
     ROWS},
    {"PAIRS",
     "{encoder: {type: rnn, cell: gru, num_layers: 1, hidden_size: 4}, decoder: {type: rnn, cell: gru, "
     "num_layers: 1, hidden_size: 4}, attention: {type: bahdanau}, embedding_dim: 4}",
     PAIRS},
    {"TAGS",
     "{encoder: {type: rnn, cell: gru, num_layers: 1, hidden_size: 4}, embedding_dim: 4, crf: true, letters: {type: "
     "lstm, embedding_dim: 3, hidden_size: 3}, capitals_dim: 2}",
     TAGGED, "{size: 4}"},
    {"HMM", "{hmm: {order: 2}}", TAGGED, NULL},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

/* Shared with the child, so that its end can be told when it crashes. */
static struct fault {
    int64_t at, count;   /* at: the allocation to fail, counted from 1 */
    int64_t validations; /* that failed, of all runs */
    bool on;             /* and every later one */
    char where[256];     /* the file and the offset of the code that met the first failure, for addr2line */
    uintptr_t offset;
    char message[17000];
} * fault;
static bool active;

/* libgomp ends the process with a message of its own when it has no memory for a team, libhdf5 crashed
 * after some failed allocations (lib/io asks it for small metadata only), the loader cannot bind a function. Everything
 * else is ours to survive: our own calls, and those of libc, libyaml, zlib and xxhash on our behalf. */
static bool ours(const Dl_info *info) {
    static const char *const excused[] = {"libgomp", "libhdf5", "libcrypto", "ld-linux"};
    if (!info->dli_fname) return false;
    for (size_t i = 0; i < sizeof excused / sizeof *excused; i++)
        if (strstr(info->dli_fname, excused[i])) return false;
    return true;
}

/* dladdr searches a library's symbols one by one, which took most of the time: what it said of a caller is kept, for
 * the later runs too, whose processes have the same addresses. */
static struct caller {
    uintptr_t address;
    bool ours;
} * callers;
enum { CALLERS = 1 << 12 };

static bool known_as_ours(void *caller) {
    uintptr_t address = (uintptr_t)caller;
    struct caller *c = &callers[(address ^ address >> 12) % CALLERS];
    Dl_info info;
    if (c->address != address) *c = (struct caller){address, dladdr(caller, &info) && ours(&info)};
    return c->ours;
}

static bool fails(void *caller) {
    if (!active) return false;
    active = false; /* dladdr itself must not count */
    bool fail = false;
    if (known_as_ours(caller)) {
        fault->count++;
        fail = fault->on ? fault->count >= fault->at : fault->count == fault->at;
        Dl_info info;
        if (fail && fault->count == fault->at && dladdr(caller, &info)) {
            snprintf(fault->where, sizeof fault->where, "%s", info.dli_fname);
            fault->offset = (uintptr_t)caller - (uintptr_t)info.dli_fbase;
        }
    }
    active = true;
    if (fail) errno = ENOMEM;
    return fail;
}
#define FAILS fails(__builtin_return_address(0))

void *malloc(size_t n) { return FAILS ? NULL : __libc_malloc(n); }
void *calloc(size_t n, size_t m) { return FAILS ? NULL : __libc_calloc(n, m); }
void *realloc(void *p, size_t n) { return FAILS ? NULL : __libc_realloc(p, n); }
void *aligned_alloc(size_t a, size_t n) { return FAILS ? NULL : __libc_memalign(a, n); }
int posix_memalign(void **p, size_t a, size_t n) {
    void *q = FAILS ? NULL : __libc_memalign(a, n);
    if (!q) return ENOMEM;
    *p = q;
    return 0;
}
/* So that the caller is who asked for the copy (libhdf5 does), not libc. */
char *strdup(const char *s) {
    size_t n = strlen(s) + 1;
    char *copy = FAILS ? NULL : __libc_malloc(n);
    return copy ? memcpy(copy, s, n) : NULL;
}

static char folder[64];

static int remove_one(const char *path, const struct stat *s, int type, struct FTW *f) {
    (void)s, (void)type, (void)f;
    return remove(path);
}
static void remove_tree(const char *path) { nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS); }

static rv_status train(int kind) {
    char text[2048], how[256] = "";
    if (kinds[kind].batch) /* or else it counts, in one step */
        snprintf(how, sizeof how,
                 "train: {batch: %s, max_steps: %d, optimizer: {type: adamw, lr: 1e-2}, validate_every: 2}\n",
                 kinds[kind].batch, STEPS);
    int n = snprintf(text, sizeof text,
                     "name: oom\nseed: 3\n%s\nmodel: %s\n%s"
                     "checkpoint: {dir: %s/run, every: 2, average_last: 2}\nruntime: {threads: 1}\n",
                     kinds[kind].task, kinds[kind].model, how, folder);
    rv_config *config = NULL;
    rv_status status = rv_config_parse("oom.yaml", text, (size_t)n, 0, NULL, &config);
    if (status == RV_OK) {
        rv_train_options options = {0};
        status = rv_train(config, &options);
    }
    rv_config_destroy(config);
    return status;
}

/* Whether every checkpoint in the run's folder verifies and no temporary is left. */
static bool folder_ok(void) {
    char path[512];
    snprintf(path, sizeof path, "%s/run", folder);
    DIR *d = opendir(path);
    bool ok = true;
    for (struct dirent *e; d && (e = readdir(d));) {
        snprintf(path, sizeof path, "%s/run/%s", folder, e->d_name);
        bool left = strstr(e->d_name, ".tmp-");
        rv_checkpoint *ck = NULL;
        if (!left && (!strstr(e->d_name, ".h5") || rv_checkpoint_open(path, &ck) == RV_OK)) {
            rv_checkpoint_close(ck);
            continue;
        }
        snprintf(fault->message, sizeof fault->message, "%s: %s", path,
                 left ? "a temporary is left" : rv_error_message());
        ok = false;
    }
    if (d) closedir(d);
    return ok;
}

enum { REPORTED, FINISHED, WRONG };

static int child(int kind) {
    rv_log_set_level(RV_LOG_QUIET);
    alarm(SECONDS_EACH);
    active = true;
    rv_status status = train(kind);
    active = false;
    snprintf(fault->message, sizeof fault->message, "status %d: %s", status, rv_error_message());
    if ((status != RV_OK && !strstr(fault->message, "memory")) || !folder_ok()) return WRONG;
    if (strstr(fault->message, "the validation after step")) { /* what was trained is not lost */
        fault->validations++;
        if (!fault->on && !strstr(fault->message, "is saved in")) return WRONG;
    }
    if (fault->count < fault->at) return status == RV_OK ? FINISHED : WRONG;
    return REPORTED; /* or absorbed: the run went on without that memory */
}

/* One run in a process of its own; this process never runs a parallel region, after which a forked one would hang. */
static int one(int kind, int64_t at, bool on) {
    char path[128];
    snprintf(path, sizeof path, "%s/run", folder);
    remove_tree(path);
    *fault = (struct fault){.at = at, .on = on, .validations = fault->validations};
    pid_t pid = fork();
    if (pid == 0) _exit(child(kind));
    int st;
    if (pid < 0 || waitpid(pid, &st, 0) != pid) return WRONG;
    if (WIFSIGNALED(st))
        snprintf(fault->message, sizeof fault->message, "ended by signal %d%s", WTERMSIG(st),
                 WTERMSIG(st) == SIGALRM ? ": it hangs" : "");
    return WIFEXITED(st) ? WEXITSTATUS(st) : WRONG;
}

static void show(int kind, int64_t at, bool on) {
    fprintf(stderr, "%s, allocation %lld %s, asked for at %s+0x%jx: %s\n", kinds[kind].name, (long long)at,
            on ? "and all later" : "once", fault->where, (uintmax_t)fault->offset, fault->message);
}

/* Every N until a run needs fewer allocations. Returns the number of wrong ends. */
static int sweep(int kind, bool on) {
    int wrong = 0, result = REPORTED;
    for (int64_t at = 1; result != FINISHED; at++) {
        result = one(kind, at, on);
        if (result == WRONG) show(kind, at, on), wrong++;
    }
    printf("%s, %s: %lld allocations, %lld failed validations so far, %d wrong ends\n", kinds[kind].name,
           on ? "all from the Nth" : "the Nth", (long long)fault->count, (long long)fault->validations, wrong);
    return wrong;
}

static void *shared_memory(size_t size) {
    return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

int main(int argc, char **argv) {
    fault = shared_memory(sizeof *fault);
    callers = shared_memory(CALLERS * sizeof *callers);
    strcpy(folder, "/tmp/ravel-test-XXXXXX");
    if (fault == MAP_FAILED || callers == MAP_FAILED || !mkdtemp(folder) || chdir(folder)) return 1;
    char path[128];
    snprintf(path, sizeof path, "%s/text", folder);
    FILE *f = fopen(path, "w");
    if (!f) return 1;
    for (int i = 0; i < 200; i++) fputc("abcdefgh \n"[i * 7 % 10], f);
    fclose(f);
    snprintf(path, sizeof path, "%s/rows", folder);
    if (!(f = fopen(path, "w"))) return 1;
    for (int i = 0; i < 20; i++) fprintf(f, "%c %c\t%s\n", 'a' + i % 3, 'a' + i * i % 4, i % 3 ? "x" : "y");
    fclose(f);
    snprintf(path, sizeof path, "%s/tagged", folder);
    if (!(f = fopen(path, "w"))) return 1;
    for (int i = 0; i < 20; i++) fprintf(f, "%c%d\tO\nName%d\tB-N\n\n", 'a' + i % 3, i * i % 4, i % 5);
    fclose(f);
    int wrong = 0;
    for (int kind = 0; kind < KINDS; kind++) {
        if (argc > 1 && strcmp(argv[1], kinds[kind].name)) continue;
        if (argc > 2) {
            bool on = argc > 3 && !strcmp(argv[3], "on");
            wrong += one(kind, atoll(argv[2]), on) == WRONG;
            show(kind, atoll(argv[2]), on);
        } else {
            wrong += sweep(kind, false) + sweep(kind, true);
        }
    }
    remove_tree(folder);
    if (argc <= 2 && !fault->validations) wrong = printf("no validation failed: what follows one was not tried\n");
    return wrong != 0;
}
