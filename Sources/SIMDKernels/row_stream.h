#ifndef QUIPU_ROW_STREAM_H
#define QUIPU_ROW_STREAM_H

// What will be read after some bytes more of rows that lie apart: in the cache of keys and values there are those of other
// heads between two keys of one, and room for more positions after its values.
#include <stddef.h>
#include "unpack.h"

/// Bytes from where a row is read to where it is fetched, on into the rows after it. Two threads then take from memory
/// what it has to give; the processor's own fetching stops at every page, and left a fifth to a third of that.
enum { AHEAD = 2048 };

typedef struct {
    /// Of a row, and from one row to the next.
    size_t bytes, stride;
    /// To what is read so many bytes after a row's first: bytes down to its row, and into it.
    size_t down, into;
} row_stream;

ALWAYS_INLINE row_stream stream_of_rows(size_t bytes, size_t stride) {
    if (bytes == 0) return (row_stream){0};
    return (row_stream){bytes, stride, AHEAD / bytes * stride, AHEAD % bytes};
}

/// Of a product's rows, one after the other, of values of so many bytes.
ALWAYS_INLINE row_stream stream_of(const quipu_product *p, size_t value_bytes) {
    return stream_of_rows(p->count * value_bytes, p->weight_stride);
}

/// Fetches what is read so much later than `at` bytes into a row.
ALWAYS_INLINE void fetch_ahead_in(const row_stream s, const char *row, size_t at) {
    const size_t into = s.into + at;
    __builtin_prefetch(row + s.down + (into < s.bytes ? into : s.stride + into - s.bytes), 0, 3);
}

#endif
