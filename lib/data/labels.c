#include "data/labels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

rv_text rv__field_trim(rv_text t) {
    while (t.len && blank(t.bytes[t.len - 1])) t.len--;
    while (t.len && blank(*t.bytes)) t.bytes++, t.len--;
    return t;
}

rv_text rv__label_of(rv_text field) {
    field = rv__field_trim(field);
    for (size_t i = 0; i < field.len; i++)
        if (blank(field.bytes[i])) field.bytes[i] = ' ';
    return field;
}

int rv__label_shown(const char *label) { return (int)rv_utf8_offset(label, strlen(label), 40); }

const char *rv__labels_text(int n, char *const *names, char *buf, size_t size) {
    enum { LISTED = 20 };
    size_t at = 0;
    buf[0] = 0;
    for (int i = 0; i < n && i < LISTED && at < size; i++) /* 20 of at most 160 bytes */
        at += (size_t)snprintf(buf + at, size - at, "%s%.*s", i ? ", " : "", rv__label_shown(names[i]), names[i]);
    if (n > LISTED && at < size) snprintf(buf + at, size - at, " and %d more", n - LISTED);
    return buf;
}

/* Copy names of these lengths, in one block. */
static rv_status copy(int n, const rv_text *name, char ***out) {
    size_t size = (size_t)n * sizeof **out;
    for (int i = 0; i < n; i++) size += name[i].len + 1;
    if (!(*out = malloc(size + 1))) return rv_error(RV_ENOMEM, "no memory for the names of %d classes", n);
    char *to = (char *)(*out + n);
    for (int i = 0; i < n; i++) {
        (*out)[i] = memcpy(to, name[i].bytes, name[i].len);
        to[name[i].len] = 0;
        to += name[i].len + 1;
    }
    return RV_OK;
}

static rv_text *make_texts(int n) {
    rv_text *t = malloc(((size_t)n + 1) * sizeof *t);
    if (!t) rv_error(RV_ENOMEM, "no memory for %d classes", n);
    return t;
}

rv_status rv__labels_copy(int n, const char *const *names, char ***out) {
    rv_text *name = make_texts(n);
    if (!name) return RV_ENOMEM;
    for (int i = 0; i < n; i++) name[i] = (rv_text){(char *)names[i], strlen(names[i])};
    rv_status status = copy(n, name, out);
    free(name);
    return status;
}

static bool whole_number(const char *s) {
    s += *s == '-';
    const size_t n = strspn(s, "0123456789");
    return n && !s[n] && n <= 18; /* longer ones may be no long long */
}

static int by_bytes(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static int by_value(const void *a, const void *b) {
    const long long x = strtoll(*(char *const *)a, NULL, 10), y = strtoll(*(char *const *)b, NULL, 10);
    return x != y ? (x > y) - (x < y) : by_bytes(a, b); /* 1 and 01 are two classes */
}

rv_status rv__labels_sorted(const rv__intern *seen, bool value, char ***out) {
    rv_text *name = make_texts(seen->n);
    if (!name) return RV_ENOMEM;
    for (int32_t i = 0; i < seen->n; i++) name[i].bytes = (char *)rv__intern_key(seen, i, &name[i].len);
    rv_status status = copy(seen->n, name, out);
    free(name);
    if (status != RV_OK) return status;
    for (int i = 0; i < seen->n && value; i++) value = whole_number((*out)[i]);
    qsort(*out, (size_t)seen->n, sizeof **out, value ? by_value : by_bytes);
    return RV_OK;
}

rv_status rv__labels_number(int n, char *const *names, const char *what, rv__intern *numbers) {
    for (int i = 0; i < n; i++) {
        const int32_t number = rv__intern_add(numbers, names[i], strlen(names[i]));
        if (number < 0) return RV_ENOMEM;
        if (number != i)
            return rv_error(RV_EUSAGE, "the %s '%.*s' is given twice", what, rv__label_shown(names[i]), names[i]);
    }
    return RV_OK;
}
