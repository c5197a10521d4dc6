/** Text: whole files in memory, UTF-8, normal forms.
 *
 *  Everything above works on (bytes, length) pairs, since a text may hold NUL. */
#ifndef RV_DATA_TEXT_H
#define RV_DATA_TEXT_H

#include <stdint.h>

#include "base/status.h"

/** Bytes of a text; a NUL that is not counted follows them. */
typedef struct {
    char *bytes;
    size_t len;
} rv_text;

/** What a file holds: plain text; CoNLL-U, whose sentences are wanted; lines "sentence<TAB>..."; or a word a line,
 * other columns behind it (rv_tagged_format). */
typedef enum { RV_FORMAT_TEXT, RV_FORMAT_CONLLU, RV_FORMAT_TSV, RV_FORMAT_COLUMNS } rv_text_format;

/** Largest text read, in bytes (after unpacking): a packed bomb ends here. */
#define RV_TEXT_MAX ((size_t)4 << 30)

/** Read the whole file `path`, plain or packed with gzip (told by its first bytes, not by its name). It must be UTF-8;
 * a byte order mark at its start is left out. A pipe is read to its end; if it brings nothing for a while, a line says
 * so. Errors: RV_EDATA (absent, unreadable, a device or a folder, over RV_TEXT_MAX, damaged gzip, or invalid UTF-8,
 * with the byte's offset and line), RV_ENOMEM. Free with rv_text_free. */
RV_API rv_status rv_text_load(const char *path, rv_text *out);
RV_API void rv_text_free(rv_text *t);
/** rv_text_load of a run's data. Warns if `path` is a pipe or the like, which gives its text once: a resumed run would
 *  find nothing there, or another text; and if its lines end as an old Mac's did, at \r alone. RV_EDATA if it is
 * already among the n paths `before`, of which some may be NULL. */
RV_API rv_status rv_text_load_data(const char *path, int n, const char *const *before, rv_text *out);

/** Bytes of a byte order mark at s, which is no text: 3, or 0 where there is none. rv_text_load leaves it out. */
RV_API size_t rv_text_mark(const char *s, size_t len);
/** Length of the line at s without its end; *whole: with it. A line ends at \n or where the text does, and each \r just
 * before belongs to its end; any other \r is white space in its line. */
RV_API size_t rv_text_line(const char *s, size_t len, size_t *whole);
/** Make each line's end one \n, as rv_text_line tells them; returns how many had a \r. */
RV_API int64_t rv_text_unify_line_ends(rv_text *t);
/** Whether it has nothing but white space, as rv_char_classify tells it: a line that is blank to a reader. */
RV_API bool rv_text_is_blank(const char *s, size_t len);

/** Decode one code point at `s`; returns its bytes (1 to 4), or 0 if they are no valid UTF-8 or len is 0. */
RV_API int rv_utf8_next(const char *s, size_t len, int32_t *code_point);
/** Offset of the first byte that is not valid UTF-8, or -1. */
RV_API int64_t rv_utf8_check(const char *s, size_t len);
/** Whether the `len` bytes at s are the beginning of a character that more bytes can complete; no whole character is.
 */
RV_API bool rv_utf8_is_prefix(const char *s, size_t len);
/** Number of code points; a byte that is not valid UTF-8 counts as one. */
RV_API int64_t rv_utf8_count(const char *s, size_t len);
/** Byte offset of the `n`-th code point (len if there are fewer). */
RV_API size_t rv_utf8_offset(const char *s, size_t len, int64_t n);

typedef enum { RV_NORMAL_NONE, RV_NORMAL_NFC, RV_NORMAL_NFKC } rv_normal_form;

/** `s` in Unicode normal form `form` [UAX #15]; if `lowercase`, each character is then lower-cased by its simple
 * mapping and the form taken again, until nothing changes. Bytes that are not valid UTF-8 pass unchanged. Errors:
 * RV_ENOMEM. Free with rv_text_free. */
RV_API rv_status rv_text_normalise(const char *s, size_t len, rv_normal_form form, bool lowercase, rv_text *out);

/** What a code point is to a tokenizer. Marks count as letters (they follow one). */
typedef enum { RV_CHAR_SPACE, RV_CHAR_LETTER, RV_CHAR_NUMBER, RV_CHAR_OTHER } rv_char_class;
RV_API rv_char_class rv_char_classify(int32_t code_point);

#endif
