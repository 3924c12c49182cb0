/*
 * text: the strings of the filter: owned bytes, decoded JSON strings, and the two questions that
 * are asked about a text. Used by the other files of this folder. Single-threaded; out of memory
 * aborts.
 */
#ifndef DEDUP_TEXT_H
#define DEDUP_TEXT_H

#include <gate/plugin.h>

/* Owned bytes. Zeroed = empty. */
struct dedup_bytes {
    char *ptr;
    size_t len;
    size_t cap;
};

void *dedup_alloc(size_t n);
void dedup_bytes_append(struct dedup_bytes *b, struct gate_str s);
void dedup_bytes_free(struct dedup_bytes *b); /* b is empty afterwards and may be used again */
struct gate_writer dedup_bytes_writer(struct dedup_bytes *b);

/* A decoded JSON string: a view of the JSON where it has no escapes, else a copy. */
struct dedup_text {
    struct gate_str s;
    struct dedup_bytes copy;
};

/* value: a JSON string with its quotes, or empty for an empty text. False: it does not decode and
 * *out is empty. Every open is closed. */
bool dedup_text_open(const struct gate_host *host, struct gate_str value, struct dedup_text *out);
void dedup_text_close(struct dedup_text *t);

/* True when text has at least min_chars code points and min_words words. A word is a run of letters
 * and digits; in scripts that are written without spaces each character that differs from the one
 * before it is a word. Lines of symbols and runs of one character never make two. */
bool dedup_text_is_prose(struct gate_str text, size_t min_chars, size_t min_words);
bool dedup_text_is_blank(struct gate_str text); /* white space of JSON only, or empty */

/* Length of the longest common prefix that ends between two characters. */
size_t dedup_text_common(struct gate_str a, struct gate_str b);

#endif
