/* SPDX-License-Identifier: Apache-2.0
 * The codecs in C, bit for bit what the cores do; for tests, not for speed. */
#ifndef FMZIP_MODEL_H
#define FMZIP_MODEL_H
#include "fmzip.h"

/* What the coder rans needs beside the configuration: its tables, and how the encoder rounds and
 * spreads errors. The other coders take NULL. */
typedef struct {
    const uint8_t *tables;
    size_t tables_size;
    int rounding, left, above, corner;
} fmzip_coding;

/* Values [height][width][channels] to a frame of at most fmzip_max_bytes; returns its size, or 0 if
 * the configuration is not one, its tables are not there, or the frame does not fit. */
size_t fmzip_model_encode(const fmzip_config *config, const fmzip_coding *coding,
                          const uint8_t *values, uint8_t *frame, size_t room);
/* A frame to values; 0 if it is intact. */
int fmzip_model_decode(const uint8_t *frame, size_t size, const fmzip_coding *coding,
                       uint8_t *values);
uint32_t fmzip_crc32(const uint8_t *data, size_t size);
#endif
