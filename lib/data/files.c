#include "data/files.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { CHUNK = 1 << 16 };

static void to_hex(EVP_MD_CTX *md, char hex[RV__SHA256_HEX]) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    EVP_DigestFinal_ex(md, digest, &n);
    for (unsigned i = 0; i < 32; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

static EVP_MD_CTX *sha256_new(void) {
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    if (md && EVP_DigestInit_ex(md, EVP_sha256(), NULL)) return md;
    EVP_MD_CTX_free(md);
    rv_error(RV_ENOMEM, "no memory for a sha256");
    return NULL;
}

/* Read `in` to its end or past `most` bytes, hashing, and copying to `out` if there is one; the bytes read, -1 on
 * error. */
static int64_t pump(gzFile in, const char *source, FILE *out, EVP_MD_CTX *md, int64_t most) {
    char buf[CHUNK];
    int64_t total = 0;
    int got;
    while (total <= most && (got = gzread(in, buf, sizeof buf)) > 0) {
        EVP_DigestUpdate(md, buf, (size_t)got);
        if (out && fwrite(buf, 1, (size_t)got, out) != (size_t)got) {
            rv_error(RV_EDATA, "cannot write: %s", strerror(errno));
            return -1;
        }
        total += got;
    }
    int code;
    const char *why = gzerror(in, &code); /* Z_BUF_ERROR: the gzip stream ends early */
    if (total > most || code == Z_OK || code == Z_STREAM_END) return total;
    rv_error(RV_EDATA, "%s: cannot read: %s", source, code == Z_ERRNO ? strerror(errno) : why);
    return -1;
}

rv_status rv__file_sha256(const char *path, char hex[RV__SHA256_HEX]) {
    FILE *f = fopen(path, "rb");
    if (!f) return rv_error(RV_EDATA, "%s: cannot open: %s", path, strerror(errno));
    EVP_MD_CTX *md = sha256_new();
    rv_status status = md ? RV_OK : RV_ENOMEM;
    char buf[CHUNK];
    for (size_t got; md && (got = fread(buf, 1, sizeof buf, f)) > 0;) EVP_DigestUpdate(md, buf, got);
    if (ferror(f)) status = rv_error(RV_EDATA, "%s: cannot read: %s", path, strerror(errno));
    if (md) to_hex(md, hex);
    EVP_MD_CTX_free(md);
    fclose(f);
    return status;
}

rv_status rv__file_install(const char *source, const char *path, int64_t bytes, const char *sha256) {
    gzFile in = gzopen(source, "rb");
    if (!in) return rv_error(RV_EDATA, "%s: cannot open: %s", source, strerror(errno ? errno : ENOMEM));
    FILE *out = rv__file_begin(path);
    EVP_MD_CTX *md = out ? sha256_new() : NULL;
    rv_status status = !out ? RV_EDATA : !md ? RV_ENOMEM : RV_OK;
    if (status == RV_OK) {
        char hex[RV__SHA256_HEX];
        int64_t got = pump(in, source, out, md, bytes); /* one chunk past `bytes` at most: a bomb ends here */
        to_hex(md, hex);
        if (got < 0)
            status = RV_EDATA;
        else if (got != bytes)
            status = rv_error(RV_EDATA, "%s: has %s%lld bytes unpacked where the manifest says %lld", source,
                              got > bytes ? "over " : "", (long long)(got > bytes ? bytes : got), (long long)bytes);
        else if (strcmp(hex, sha256))
            status = rv_error(RV_EDATA, "%s: its sha256 is %s where the manifest says %s", source, hex, sha256);
    }
    EVP_MD_CTX_free(md);
    gzclose_r(in);
    if (!out) return status;
    rv_status end = rv__file_end(out, path, status == RV_OK);
    return status == RV_OK ? end : status;
}
