/* SPDX-License-Identifier: Apache-2.0
 * The tiles of the coder rans. */
#ifndef FMZIP_RANS_H
#define FMZIP_RANS_H
#include "fmzip_model.h"

/* Arithmetic shift to the right, towards minus infinity. */
int64_t fmzip_shift(int64_t value, int shift);
/* A tile of a map [height][width][channels], without padding, into out, which has room for all of
 * its values; its size, or 0 where the tables are not such. */
size_t fmzip_rans_encode(const fmzip_config *config, const fmzip_coding *coding,
                         const uint8_t *values, const fmzip_extent *tile, uint8_t *out, size_t room,
                         int *raw);
/* A tile's bytes, padding included, into a map; 0 if it is one. */
int fmzip_rans_decode(const fmzip_config *config, const fmzip_coding *coding, const uint8_t *data,
                      const fmzip_extent *tile, uint8_t *values);
#endif
