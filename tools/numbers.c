/* Numbers on the command line: decimal, whole, in range, nothing behind them. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

#include "tool.h"

/* A number of digits alone (no sign, no space) at *at, which is moved behind it. */
static bool read_whole(const char **at, int64_t low, int64_t high, int64_t *out) {
    if (!isdigit((unsigned char)**at)) return false;
    char *end;
    errno = 0;
    long long n = strtoll(*at, &end, 10);
    *at = end;
    *out = n;
    return !errno && n >= low && n <= high;
}

int64_t rv__tool_whole(const char *arg, const char *option, int64_t low, int64_t high, struct argp_state *state) {
    const char *at = arg;
    int64_t n = 0;
    if (!read_whole(&at, low, high, &n) || *at)
        argp_error(state, "%s takes a whole number from %lld to %lld, not '%s'", option, (long long)low,
                   (long long)high, arg);
    return n;
}

int rv__tool_wholes(const char *arg, const char *option, int most, int64_t high, bool rising, int64_t *out,
                    struct argp_state *state) {
    const char *at = arg;
    int n = 0;
    for (bool more = true; more; at += more) {
        if (n == most || !read_whole(&at, 1, high, &out[n]) || (*at && *at != ',') ||
            (rising && n && out[n] <= out[n - 1]))
            argp_error(state,
                       "%s takes up to %d %snumbers from 1 to %lld with commas between them, such as 1,2,4, not '%s'",
                       option, most, rising ? "rising " : "", (long long)high, arg);
        n++;
        more = *at == ',';
    }
    return n;
}
