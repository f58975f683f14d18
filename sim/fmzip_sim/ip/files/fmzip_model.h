/* SPDX-License-Identifier: Apache-2.0
 * The coders width and bitmap in C, bit for bit what the cores do; for tests, not for speed. */
#ifndef FMZIP_MODEL_H
#define FMZIP_MODEL_H
#include "fmzip.h"

/* Values [height][width][channels] to a frame of at most fmzip_max_bytes; returns its size, or 0 if
 * the configuration is not of these coders or the frame does not fit. */
size_t fmzip_model_encode(const fmzip_config *config, const uint8_t *values, uint8_t *frame,
                          size_t room);
/* A frame to values; 0 if it is intact. */
int fmzip_model_decode(const uint8_t *frame, size_t size, uint8_t *values);
uint32_t fmzip_crc32(const uint8_t *data, size_t size);
#endif
