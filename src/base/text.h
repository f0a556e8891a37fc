/* Text: a growing buffer, paths, sizes, and the nearest word for "did you mean". */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include "base/base.h"

/* A growing string. {0} is empty and valid; `at` is NULL or zero-terminated. Once an allocation
 * fails the buffer stays `failed` and further additions do nothing: check once at the end. */
struct text {
    char *at;
    size_t count, room;
    bool failed;
};
void text_add(struct text *text, const char *more);
void text_add_bytes(struct text *text, const void *more, size_t count);
void text_printf(struct text *text, const char *format, ...) OPIML_PRINTF(2, 3);
/* The fewest digits from 15 on that read back as the same number; the same in every locale. */
void text_add_double(struct text *text, double number);
void text_release(struct text *text); /* frees; the struct is empty again. For CLEANUP too */
#define AUTO_TEXT CLEANUP(text_release)

/* Copy with truncation, always terminated; returns false when it was cut. `room` is at least 1. */
bool text_copy(char *to, size_t room, const char *from);
bool text_ends(const char *text, const char *suffix);
bool text_starts(const char *text, const char *prefix);
/* Of `words` (NULL-terminated) the one that `word` may have meant, NULL when none is near
 * (Damerau-Levenshtein distance at most a third of its length, at least 1; words of one or two
 * characters are near to themselves only). */
const char *text_nearest(const char *word, const char *const *words);
/* Control characters become spaces, so that a line stays one and no terminal obeys it. */
void text_one_line(char *line);
/* Length of the UTF-8 character at `at`, of which `bytes` may be read; 0 when there is none
 * (overlong, a surrogate, past U+10FFFF, cut, stray). */
size_t text_utf8_bytes(const char *at, size_t bytes);
/* A finite decimal number and nothing else, in every locale: no spaces, no hexadecimal, no "inf".
 */
bool text_parse_double(const char *text, double *ret_number);
/* "12345" or "8 MiB", "8MiB", "1k"; false when malformed or too large. */
bool text_parse_bytes(const char *text, uint64_t *ret_bytes);
/* "1.2 GiB" and "1,234,567" into the caller's buffer (32 bytes suffice), which is returned. */
char *text_format_bytes(char *to, size_t room, uint64_t bytes);
char *text_format_count(char *to, size_t room, uint64_t count);
/* The end of a noun in "1 row" and "2 rows". */
static inline const char *text_s(uint64_t count) {
    return count == 1 ? "" : "s";
}
/* How many in a second: whole from 10 on, else two digits that tell ("4.2", "0.042"). As above. */
char *text_format_rate(char *to, size_t room, double per_s);
/* Append a name of any bytes at to[used], for a line on a terminal: what would break it, move it or
 * reorder its letters is \xNN. Cut where the room ends; zero-terminated. Returns the new `used`. */
size_t text_show(char *to, size_t room, size_t used, const char *from, size_t bytes);
/* Join with one slash; an absolute `name` stands alone. The caller frees. */
char *text_path(const char *folder, const char *name);
/* The same for what a person wrote: "~/" is the home folder. */
char *text_user_path(const char *folder, const char *name);

#endif
