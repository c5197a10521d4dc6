#include "io/layout.h"

#include <hdf5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/manifest.h"

/* ---- a file driver whose file is the layout's pages ---- */

typedef struct {
    H5FD_t pub; /* must be first */
    rv__layout *layout;
    haddr_t end;
} memory_file;

typedef struct {
    rv__layout *layout;
} driver_info;

static unsigned char *page_at(rv__layout *l, size_t k) {
    if (k >= l->pages) {
        size_t pages = k + k / 2 + 16;
        unsigned char **grown = realloc(l->page, pages * sizeof *grown);
        if (!grown) return NULL;
        memset(grown + l->pages, 0, (pages - l->pages) * sizeof *grown);
        l->page = grown;
        l->pages = pages;
    }
    if (!l->page[k]) l->page[k] = calloc(1, RV__LAYOUT_PAGE);
    return l->page[k];
}

static H5FD_t *driver_open(const char *name, unsigned flags, hid_t fapl, haddr_t maxaddr) {
    (void)name, (void)flags, (void)maxaddr;
    const driver_info *info = H5Pget_driver_info(fapl);
    memory_file *f = info ? calloc(1, sizeof *f) : NULL;
    if (info && !f) info->layout->no_memory = true;
    if (!f) return NULL;
    f->layout = info->layout;
    return &f->pub;
}

static herr_t driver_close(H5FD_t *file) {
    free(file);
    return 0;
}

static herr_t driver_query(const H5FD_t *file, unsigned long *flags) {
    (void)file;
    *flags = 0; /* no aggregation: every allocation is aligned by itself */
    return 0;
}

static haddr_t driver_end(const H5FD_t *file, H5FD_mem_t type) {
    (void)type;
    return ((const memory_file *)file)->end;
}

static herr_t driver_set_end(H5FD_t *file, H5FD_mem_t type, haddr_t end) {
    (void)type;
    memory_file *f = (memory_file *)file;
    f->end = end;
    f->layout->length = end;
    return 0;
}

static herr_t driver_read(H5FD_t *file, H5FD_mem_t type, hid_t dxpl, haddr_t addr, size_t size, void *buffer) {
    (void)type, (void)dxpl;
    const rv__layout *l = ((memory_file *)file)->layout;
    for (unsigned char *to = buffer; size;) {
        size_t k = addr / RV__LAYOUT_PAGE, in = addr % RV__LAYOUT_PAGE, n = RV__LAYOUT_PAGE - in;
        if (n > size) n = size;
        if (k < l->pages && l->page[k])
            memcpy(to, l->page[k] + in, n);
        else
            memset(to, 0, n);
        to += n, addr += n, size -= n;
    }
    return 0;
}

static herr_t driver_write(H5FD_t *file, H5FD_mem_t type, hid_t dxpl, haddr_t addr, size_t size, const void *buffer) {
    (void)type, (void)dxpl;
    rv__layout *l = ((memory_file *)file)->layout;
    for (const unsigned char *from = buffer; size;) {
        size_t k = addr / RV__LAYOUT_PAGE, in = addr % RV__LAYOUT_PAGE, n = RV__LAYOUT_PAGE - in;
        if (n > size) n = size;
        unsigned char *page = page_at(l, k);
        if (page)
            memcpy(page + in, from, n);
        else
            l->no_memory = true;
        from += n, addr += n, size -= n;
    }
    return 0;
}

static const H5FD_class_t driver = {
#ifdef H5FD_CLASS_VERSION /* from HDF5 1.13.2 on: H5FDregister refuses a class that does not state its version */
    .version = H5FD_CLASS_VERSION,
    .value = 512, /* 512 to 65535 are free for drivers that stay inside one program */
#endif
    .name = "ravel-layout",
    .maxaddr = (haddr_t)1 << 62,
    .fc_degree = H5F_CLOSE_STRONG,
    .fapl_size = sizeof(driver_info),
    .open = driver_open,
    .close = driver_close,
    .query = driver_query,
    .get_eoa = driver_end,
    .set_eoa = driver_set_end,
    .get_eof = driver_end,
    .read = driver_read,
    .write = driver_write,
    .fl_map = H5FD_FLMAP_SINGLE,
};

/* ---- what libhdf5 says ---- */

/* The first call that failed, and libhdf5's own reason. Later failures follow from it. */
typedef struct {
    const char *call;
    char reason[200];
} failure;

static herr_t innermost(unsigned n, const H5E_error2_t *e, void *data) {
    failure *f = data;
    if (n == 0) snprintf(f->reason, sizeof f->reason, "%s", e->desc && *e->desc ? e->desc : "no reason given");
    return 0;
}

static int64_t note(failure *f, const char *call, int64_t result) {
    if (result < 0 && !f->call) {
        f->call = call;
        H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, innermost, f);
    }
    return result;
}

/* Any libhdf5 call: its result, negative where it failed. HADDR_UNDEF is negative, too. */
#define H5(function, ...) note(f, #function, (int64_t)function(__VA_ARGS__))

/* ---- what is in the file ---- */

static hid_t hdf5_type(rv_ck_type type) {
    switch (type) {
    case RV_CK_F32: return H5T_IEEE_F32LE;
    case RV_CK_F64: return H5T_IEEE_F64LE;
    case RV_CK_I32: return H5T_STD_I32LE;
    case RV_CK_I64: return H5T_STD_I64LE;
    case RV_CK_U64: return H5T_STD_U64LE;
    case RV_CK_U8: return H5T_STD_U8LE;
    }
    return -1;
}

static void write_attribute(failure *f, hid_t root, const char *name, hid_t stored, hid_t memory, const void *value) {
    hid_t space = H5(H5Screate, H5S_SCALAR);
    hid_t attr = space < 0 ? -1 : H5(H5Acreate2, root, name, stored, space, H5P_DEFAULT, H5P_DEFAULT);
    if (attr >= 0) {
        H5(H5Awrite, attr, memory, value);
        H5(H5Aclose, attr);
    }
    if (space >= 0) H5(H5Sclose, space);
}

static void write_text(failure *f, hid_t root, const char *name, const char *text) {
    hid_t type = H5(H5Tcopy, H5T_C_S1); /* fixed length: files with variable-length strings can crash their readers */
    if (type < 0) return;
    if (H5(H5Tset_size, type, strlen(text)) >= 0 && H5(H5Tset_strpad, type, H5T_STR_NULLPAD) >= 0)
        write_attribute(f, root, name, type, type, text);
    H5(H5Tclose, type);
}

/* Every group on the way to `path` that is not there yet. Not by H5Pset_create_intermediate_group: those groups would
 * carry the time of their making. */
static void make_groups(failure *f, hid_t file, hid_t gcpl, const char *path) {
    char part[RV_CK_MAX_PATH + 1];
    for (const char *slash = strchr(path + 1, '/'); slash && !f->call; slash = strchr(slash + 1, '/')) {
        snprintf(part, sizeof part, "%.*s", (int)(slash - path), path);
        if (H5(H5Lexists, file, part, H5P_DEFAULT) != 0) continue;
        hid_t group = H5(H5Gcreate2, file, part, H5P_DEFAULT, gcpl, H5P_DEFAULT);
        if (group >= 0) H5(H5Gclose, group);
    }
}

static void make_dataset(failure *f, hid_t file, hid_t dcpl, const rv_ck_item *it, uint64_t *offset) {
    hsize_t dim[RV_CK_MAX_DIMS] = {0};
    for (int i = 0; i < it->ndim; i++) dim[i] = (hsize_t)it->dim[i];
    hid_t space = it->ndim ? H5(H5Screate_simple, it->ndim, dim, NULL) : H5(H5Screate, H5S_SCALAR);
    if (space < 0) return;
    hid_t set = H5(H5Dcreate2, file, it->path, hdf5_type(it->type), space, H5P_DEFAULT, dcpl, H5P_DEFAULT);
    if (set >= 0) {
        if (rv_ck_count(it)) *offset = (uint64_t)H5(H5Dget_offset, set); /* of the file, so with the user block */
        H5(H5Dclose, set);
    }
    H5(H5Sclose, space);
}

static void fill(failure *f, hid_t file, hid_t gcpl, hid_t dcpl, int64_t step, const char *state_hash, int n,
                 const rv_ck_item *items, uint64_t *offset) {
    int version = RV_CK_FORMAT_VERSION;
    write_text(f, file, "format", "ravel-checkpoint");
    write_text(f, file, "ravel_version", RV_VERSION);
    write_text(f, file, "state_hash", state_hash);
    write_attribute(f, file, "format_version", H5T_STD_I32LE, H5T_NATIVE_INT, &version);
    write_attribute(f, file, "step", H5T_STD_I64LE, H5T_NATIVE_INT64, &step);
    for (int i = 0; !f->call && i < n; i++) {
        make_groups(f, file, gcpl, items[i].path);
        if (!f->call) make_dataset(f, file, dcpl, &items[i], &offset[i]);
        if (f->call) {
            char reason[sizeof f->reason];
            memcpy(reason, f->reason, sizeof reason);
            snprintf(f->reason, sizeof f->reason, "%.120s, at item '%s'", reason, items[i].path);
        }
    }
}

rv_status rv__layout_make(rv__layout *l, uint32_t block, int64_t step, const char *state_hash, int n,
                          const rv_ck_item *items, uint64_t *offset) {
    *l = (rv__layout){0};
    failure failed = {0}, *f = &failed;
    H5E_auto2_t report;
    void *report_data;
    H5Eget_auto2(H5E_DEFAULT, &report, &report_data);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    hid_t drv = H5(H5FDregister, &driver);
    hid_t fapl = H5(H5Pcreate, H5P_FILE_ACCESS), fcpl = H5(H5Pcreate, H5P_FILE_CREATE);
    hid_t gcpl = H5(H5Pcreate, H5P_GROUP_CREATE), dcpl = H5(H5Pcreate, H5P_DATASET_CREATE);
    driver_info info = {l};
    if (!f->call) {
        H5(H5Pset_driver, fapl, drv, &info);
        /* 1.10's format, whatever newer ones a library knows: every release since reads it, and 1.12 and 1.14 write the
         * same bytes. */
        H5(H5Pset_libver_bounds, fapl, H5F_LIBVER_V110, H5F_LIBVER_V110);
        H5(H5Pset_alignment, fapl, 1, RV__MF_ALIGN);
        H5(H5Pset_userblock, fcpl, block);
        H5(H5Pset_obj_track_times, fcpl, 0);
        H5(H5Pset_obj_track_times, gcpl, 0);
        H5(H5Pset_obj_track_times, dcpl, 0);
        H5(H5Pset_layout, dcpl, H5D_CONTIGUOUS);
        H5(H5Pset_alloc_time, dcpl, H5D_ALLOC_TIME_EARLY);
        H5(H5Pset_fill_time, dcpl, H5D_FILL_TIME_NEVER);
    }
    hid_t file = f->call ? -1 : H5(H5Fcreate, "ravel checkpoint", H5F_ACC_TRUNC, fcpl, fapl);
    if (file >= 0) {
        fill(f, file, gcpl, dcpl, step, state_hash, n, items, offset);
        H5(H5Fclose, file);
    }
    hid_t lists[] = {fapl, fcpl, gcpl, dcpl};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        if (lists[i] >= 0) H5(H5Pclose, lists[i]);
    if (drv >= 0) H5(H5FDunregister, drv);
    H5Eset_auto2(H5E_DEFAULT, report, report_data);
    if (l->no_memory) return rv_error(RV_ENOMEM, "no memory to lay out a checkpoint");
    if (!f->call) return RV_OK;
    unsigned major = 0, minor = 0, release = 0;
    H5get_libversion(&major, &minor, &release);
    return rv_error(RV_ECKPT, "libhdf5 %u.%u.%u cannot lay out the file: %s failed: %s", major, minor, release, f->call,
                    f->reason);
}

void rv__layout_free(rv__layout *l) {
    for (size_t k = 0; k < l->pages; k++) free(l->page[k]);
    free(l->page);
    *l = (rv__layout){0};
}
