#ifndef QUIPU_ROW_STREAM_H
#define QUIPU_ROW_STREAM_H

// What will be read after some bytes more of rows that lie apart: in the cache of keys and values there are those of other
// heads between two keys of one, and room for more positions after its values.
#include <stddef.h>
#include "unpack.h"

/// Rows of so many bytes, `stride` apart; where their next bytes are: rows further on, and bytes into the row.
typedef struct {
    size_t bytes, stride, rows_ahead, into_row;
} row_stream;

ALWAYS_INLINE row_stream stream_of_rows(size_t bytes, size_t stride, size_t ahead) {
    if (bytes == 0) return (row_stream){0};
    return (row_stream){bytes, stride, ahead / bytes * stride, ahead % bytes};
}

/// Fetches what is `ahead` bytes after `at` bytes of a row.
ALWAYS_INLINE void fetch_ahead_in(const row_stream s, const char *row, size_t at) {
    const size_t into_row = s.into_row + at;
    row += s.rows_ahead + (into_row < s.bytes ? into_row : s.stride + into_row - s.bytes);
    __builtin_prefetch(row, 0, 3);
}

#endif
