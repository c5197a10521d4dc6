/* Downloads with libcurl: resumed by range request, never trusted (the caller checks the sha256). */
#include <curl/curl.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "data/files.h"

typedef struct {
    FILE *f;
    int64_t done, most;
    rv_progress *bar;
    bool too_large;
} sink;

static size_t on_bytes(char *data, size_t size, size_t n, void *arg) {
    sink *s = arg;
    s->done += (int64_t)(size * n);
    if (s->done > s->most) {
        s->too_large = true;
        return 0;
    }
    rv_progress_update(s->bar, s->done / 1000, "downloading");
    return fwrite(data, 1, size * n, s->f);
}

typedef struct {
    CURLcode code;
    long http;
    bool too_large;
    int write_error;
    char text[CURL_ERROR_SIZE];
} outcome;

static outcome attempt(const char *url, const char *part, int64_t from, int64_t most, const char *name) {
    outcome o = {.code = CURLE_FAILED_INIT};
    CURL *c = curl_easy_init();
    sink s = {.f = fopen(part, from ? "ab" : "wb"), .done = from, .most = most};
    if (!s.f) o.write_error = errno;
    if (c && s.f) {
        s.bar = rv_progress_start(name, "kB", from / 1000, most / 1000);
        curl_easy_setopt(c, CURLOPT_URL, url);
        curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "https,http,file");
        curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, "https,http");
        curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L);
        curl_easy_setopt(c, CURLOPT_MAXREDIRS, 5L);
        curl_easy_setopt(c, CURLOPT_FAILONERROR, 1L);
        curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, 20L);
        curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L); /* silent for a minute: broken */
        curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, 60L);
        curl_easy_setopt(c, CURLOPT_RESUME_FROM_LARGE, (curl_off_t)from);
        curl_easy_setopt(c, CURLOPT_USERAGENT, "ravel");
        curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_bytes);
        curl_easy_setopt(c, CURLOPT_WRITEDATA, &s);
        curl_easy_setopt(c, CURLOPT_ERRORBUFFER, o.text);
        o.code = curl_easy_perform(c);
        curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &o.http);
        rv_progress_finish(s.bar);
    }
    if (s.f && fclose(s.f)) o.write_error = errno;
    if (c) curl_easy_cleanup(c);
    o.too_large = s.too_large;
    return o;
}

rv_status rv__fetch(const char *url, const char *part, int64_t most, const char *name, bool *resumed) {
    if (curl_global_init(CURL_GLOBAL_DEFAULT)) return rv_error(RV_EDATA, "cannot start libcurl");
    int64_t from = rv__file_size(part);
    if (from < 0 || from > most) from = 0;
    *resumed = from > 0;
    if (*resumed) rv_info("%s: going on after %lld bytes", name, (long long)from);
    outcome o = attempt(url, part, from, most, name);
    /* The server knows no ranges, or the part does not fit what it has now: once more from the start. */
    if (from && o.code != CURLE_OK &&
        (o.code == CURLE_RANGE_ERROR || o.code == CURLE_BAD_DOWNLOAD_RESUME || o.http == 416 || o.http == 200 ||
         o.too_large)) {
        rv_info("%s: cannot be resumed there; from the start", name);
        *resumed = false;
        o = attempt(url, part, 0, most, name);
    }
    if (o.write_error) return rv_error(RV_EDATA, "%s: cannot write: %s", part, strerror(o.write_error));
    if (o.too_large) {
        unlink(part);
        return rv_error(RV_EDATA, "%s: more than the %lld bytes the manifest allows", url, (long long)most);
    }
    if (o.code == CURLE_OK) return RV_OK;
    if (rv__file_size(part) == 0) unlink(part);
    return rv_error(RV_EDATA, "%s: %s", url, o.text[0] ? o.text : curl_easy_strerror(o.code));
}
