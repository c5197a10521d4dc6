#include "io/manifest.h"

#include <stdlib.h>
#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "checkpoints are little-endian, and so must the machine be"
#endif

enum {
    ENTRY_HEAD = 24,
    BLOCK_AT = 12,
    LENGTH_AT = 16,
    STEP_AT = 40,
    STATE_AT = 48,
    COUNT_AT = 64,
    USED_AT = 68,
    WRITER_AT = 72
};
static const char magic[8] = {'R', 'A', 'V', 'E', 'L', 'C', 'K', 'P'};

static const struct {
    const char *name;
    size_t size;
} types[RV_CK_TYPES] = {[RV_CK_F32] = {"float32", 4}, [RV_CK_F64] = {"float64", 8}, [RV_CK_I32] = {"int32", 4},
                        [RV_CK_I64] = {"int64", 8},   [RV_CK_U64] = {"uint64", 8},  [RV_CK_U8] = {"uint8", 1}};

size_t rv_ck_type_size(rv_ck_type type) { return types[type].size; }
const char *rv_ck_type_name(rv_ck_type type) { return types[type].name; }

int64_t rv_ck_count(const rv_ck_item *item) {
    int64_t n = 1;
    for (int i = 0; i < item->ndim; i++) n *= item->dim[i];
    return n;
}

/* Groups and a name in printable ASCII, without empty, "." or ".." parts, which HDF5 would resolve. */
static bool good_path(const char *p, size_t n) {
    if (n < 2 || n > RV_CK_MAX_PATH || p[0] != '/') return false;
    for (size_t i = 0; i < n;) {
        size_t k = ++i; /* p[i - 1] is the '/' */
        for (; i < n && p[i] != '/'; i++)
            if (p[i] < 0x20 || p[i] > 0x7e) return false;
        if (i == k || (i == k + 1 && p[k] == '.') || (i == k + 2 && p[k] == '.' && p[k + 1] == '.')) return false;
    }
    return true;
}

/* Bytes of an array; false if a dimension is negative or the product does not fit. */
static bool array_bytes(int type, int ndim, const int64_t *dim, uint64_t *bytes) {
    if (type < 0 || type >= RV_CK_TYPES || ndim < 0 || ndim > RV_CK_MAX_DIMS) return false;
    int64_t n = (int64_t)types[type].size;
    for (int i = 0; i < ndim; i++) {
        if (dim[i] < 0) return false;
        if (__builtin_mul_overflow(n, dim[i], &n)) return false;
    }
    *bytes = (uint64_t)n;
    return true;
}

rv_status rv__manifest_check_item(const rv_ck_item *it, uint64_t *bytes) {
    if (!it->path || !good_path(it->path, strlen(it->path)))
        return rv_error(
            RV_ECKPT,
            "checkpoint item '%.600s': a path is '/group/name', at most %d bytes of ASCII, without empty parts",
            it->path ? it->path : "(null)", RV_CK_MAX_PATH);
    if (!array_bytes((int)it->type, it->ndim, it->dim, bytes))
        return rv_error(RV_ECKPT, "checkpoint item '%s': bad type or shape", it->path);
    if (*bytes && !it->data) return rv_error(RV_ECKPT, "checkpoint item '%s' has no data", it->path);
    return RV_OK;
}

static size_t padded(size_t n) { return (n + 7) & ~(size_t)7; }
static size_t entry_size(size_t path, int ndim) { return padded(ENTRY_HEAD + 8 * (size_t)ndim + path); }

static size_t used(int n, const rv_ck_item *items) {
    size_t s = RV__MF_HEAD;
    for (int i = 0; i < n; i++) s += entry_size(strlen(items[i].path), items[i].ndim);
    return s;
}

rv_status rv__manifest_block_size(int n, const rv_ck_item *items, uint32_t *block) {
    size_t need = used(n, items), b = RV__MF_MIN_BLOCK;
    while (b < need) b *= 2;
    if (b > RV__MF_MAX_BLOCK)
        return rv_error(RV_ECKPT, "the paths of %d checkpoint items are too long for a manifest", n);
    *block = (uint32_t)b;
    return RV_OK;
}

static void put(unsigned char *p, const void *v, size_t n) { memcpy(p, v, n); }
static uint32_t get32(const unsigned char *p) {
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}
static uint64_t get64(const unsigned char *p) {
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

void rv__manifest_encode(const rv__manifest *m, const rv_ck_item *items, const uint64_t *offset, unsigned char *block) {
    uint32_t version = RV_CK_FORMAT_VERSION, count = (uint32_t)m->n, bytes = (uint32_t)used(m->n, items);
    put(block, magic, sizeof magic);
    put(block + 8, &version, 4);
    put(block + BLOCK_AT, &m->block, 4);
    put(block + LENGTH_AT, &m->length, 8);
    put(block + STEP_AT, &m->step, 8);
    put(block + STATE_AT, &m->state, sizeof m->state);
    put(block + COUNT_AT, &count, 4);
    put(block + USED_AT, &bytes, 4);
    put(block + WRITER_AT, m->writer, strnlen(m->writer, RV__MF_WRITER));
    unsigned char *p = block + RV__MF_HEAD;
    for (int i = 0; i < m->n; i++) {
        const rv_ck_item *it = &items[i];
        uint16_t path = (uint16_t)strlen(it->path);
        uint64_t size = (uint64_t)rv_ck_count(it) * rv_ck_type_size(it->type);
        put(p, &path, 2);
        p[2] = (unsigned char)it->type;
        p[3] = (unsigned char)it->ndim;
        put(p + 8, &offset[i], 8);
        put(p + 16, &size, 8);
        put(p + ENTRY_HEAD, it->dim, 8 * (size_t)it->ndim);
        put(p + ENTRY_HEAD + 8 * it->ndim, it->path, path);
        p += entry_size(path, it->ndim);
    }
}

rv_status rv__manifest_decode_head(const unsigned char *h, uint64_t length, rv__manifest *m) {
    if (memcmp(h, magic, sizeof magic))
        return rv_error(RV_ECKPT, "not a checkpoint of ravel's (or its first bytes are damaged)");
    uint32_t version = get32(h + 8);
    if (version != RV_CK_FORMAT_VERSION)
        return rv_error(RV_ECKPT, "checkpoint format %u, this ravel reads format %d: use the ravel that wrote it",
                        version, RV_CK_FORMAT_VERSION);
    *m = (rv__manifest){
        .block = get32(h + BLOCK_AT), .length = get64(h + LENGTH_AT), .step = (int64_t)get64(h + STEP_AT)};
    memcpy(&m->state, h + STATE_AT, sizeof m->state);
    memcpy(m->writer, h + WRITER_AT, RV__MF_WRITER);
    for (char *c = m->writer; *c; c++)
        if (*c < 0x20 || *c > 0x7e) *c = '?'; /* it may reach a terminal */
    if (m->length != length)
        return rv_error(RV_ECKPT, "%llu bytes long instead of %llu: the file was cut or is damaged",
                        (unsigned long long)length, (unsigned long long)m->length);
    if (m->block < RV__MF_MIN_BLOCK || m->block > RV__MF_MAX_BLOCK || m->block & (m->block - 1) || m->block > length)
        return rv_error(RV_ECKPT, "damaged manifest: user block of %u bytes", m->block);
    uint32_t count = get32(h + COUNT_AT), bytes = get32(h + USED_AT);
    if (m->step < 0) return rv_error(RV_ECKPT, "damaged manifest: step %lld", (long long)m->step);
    if (bytes < RV__MF_HEAD || bytes > m->block || count > RV_CK_MAX_ITEMS ||
        count > (bytes - RV__MF_HEAD) / ENTRY_HEAD)
        return rv_error(RV_ECKPT, "damaged manifest: %u items in %u bytes", count, bytes);
    m->n = (int)count;
    return RV_OK;
}

typedef struct {
    uint64_t begin, end;
} extent;

static int by_begin(const void *a, const void *b) {
    const extent *x = a, *y = b;
    return x->begin < y->begin ? -1 : x->begin > y->begin;
}

static rv_status decode(const unsigned char *file, const rv__manifest *m, rv_ck_item *items, char *names,
                        extent *where) {
    const unsigned char *p = file + RV__MF_HEAD, *end = file + get32(file + USED_AT);
    int extents = 0;
    for (int i = 0; i < m->n; i++) {
        rv_ck_item *it = &items[i];
        size_t left = (size_t)(end - p);
        if (left < ENTRY_HEAD) return rv_error(RV_ECKPT, "damaged manifest: item %d is cut", i);
        size_t path = (size_t)p[0] | (size_t)p[1] << 8;
        int type = p[2], ndim = p[3];
        uint64_t offset = get64(p + 8), bytes = get64(p + 16), need;
        if (ndim > RV_CK_MAX_DIMS || path > RV_CK_MAX_PATH || left < entry_size(path, ndim))
            return rv_error(RV_ECKPT, "damaged manifest: item %d is cut", i);
        memcpy(it->dim, p + ENTRY_HEAD, 8 * (size_t)ndim);
        memcpy(names, p + ENTRY_HEAD + 8 * ndim, path);
        names[path] = 0;
        if (!good_path(names, path)) return rv_error(RV_ECKPT, "damaged manifest: path of item %d", i);
        if (i && strcmp(items[i - 1].path, names) >= 0)
            return rv_error(RV_ECKPT, "damaged manifest: '%s' is twice or out of order", names);
        if (!array_bytes(type, ndim, it->dim, &need) || need != bytes)
            return rv_error(RV_ECKPT, "damaged manifest: type, shape or size of '%s'", names);
        if (bytes > m->length || offset < m->block || offset > m->length - bytes || offset % RV__MF_ALIGN)
            return rv_error(RV_ECKPT, "damaged manifest: '%s' is not inside the file", names);
        if (bytes) where[extents++] = (extent){offset, offset + bytes};
        it->path = names;
        it->type = (rv_ck_type)type;
        it->ndim = ndim;
        it->data = file + offset;
        names += path + 1;
        p += entry_size(path, ndim);
    }
    if (p != end) return rv_error(RV_ECKPT, "damaged manifest: bytes after the last item");
    qsort(where, (size_t)extents, sizeof *where, by_begin);
    for (int i = 1; i < extents; i++)
        if (where[i].begin < where[i - 1].end) return rv_error(RV_ECKPT, "damaged manifest: two items share bytes");
    return RV_OK;
}

rv_status rv__manifest_decode_items(const unsigned char *file, const rv__manifest *m, rv_ck_item **items,
                                    char **names) {
    size_t n = (size_t)m->n;
    *items = calloc(n ? n : 1, sizeof **items);
    *names = malloc(get32(file + USED_AT) + n); /* at least the paths and a final 0 of each */
    extent *where = malloc((n ? n : 1) * sizeof *where);
    rv_status st = *items && *names && where ? decode(file, m, *items, *names, where)
                                             : rv_error(RV_ENOMEM, "no memory for the %d items of a checkpoint", m->n);
    free(where);
    if (st != RV_OK) {
        free(*items);
        free(*names);
        *items = NULL;
        *names = NULL;
    }
    return st;
}
