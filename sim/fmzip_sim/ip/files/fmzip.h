/* SPDX-License-Identifier: Apache-2.0
 * Driver of the cores: no memory allocation, no operating system. Streams are the caller's matter:
 * a DMA engine takes the encoder's first packet (the tiles) to frame + fmzip_head_bytes, its second
 * packet (the head) to frame, and gives the decoder the whole frame as one packet. */
#ifndef FMZIP_H
#define FMZIP_H
#include <stddef.h>
#include <stdint.h>

#include "fmzip_core.h"

/* How registers are reached; define both before this file for anything else. */
#ifndef FMZIP_READ32
#define FMZIP_READ32(base, offset) (*(volatile uint32_t *)((base) + (offset)))
#define FMZIP_WRITE32(base, offset, value) \
    (*(volatile uint32_t *)((base) + (offset)) = (value))
#endif

/* A frame's configuration; the names are those of the frame format. */
typedef struct {
    uint16_t channels, height, width, tile_rows, tile_cols;
    int zero_point;
    uint8_t dtype;      /* 0: uint8, 1: int8 */
    uint8_t burst_log2; /* 3 to 8 */
    uint8_t transform, coder, options, keep;
    uint16_t step, tables;
} fmzip_config;

/* Where a tile of a frame is, and which part of the map it holds. */
typedef struct {
    uint32_t offset, bytes; /* in the frame, from its first byte */
    int raw;
    uint16_t row, col, rows, cols;
} fmzip_extent;

/* 0 if the cores take the configuration. */
int fmzip_check(const fmzip_config *config);
uint32_t fmzip_tiles(const fmzip_config *config);
uint32_t fmzip_head_bytes(const fmzip_config *config);
/* No frame of the configuration is larger. */
uint64_t fmzip_max_bytes(const fmzip_config *config);
uint32_t fmzip_multiplier(const fmzip_config *config);
/* The first FMZIP_STATIC_BYTES bytes of a frame. */
void fmzip_static_head(const fmzip_config *config, uint8_t *head);
/* The configuration of a frame; 0 if its first bytes are those of one. */
int fmzip_parse(const uint8_t *frame, size_t size, fmzip_config *config);
/* Tile number tile of a frame, from the index in its head; 0 if that can be. */
int fmzip_tile(const uint8_t *frame, size_t size, uint32_t tile, fmzip_extent *extent);
/* The configuration of a map that is this tile alone. */
fmzip_config fmzip_alone(const fmzip_config *config, const fmzip_extent *extent);

/* 0 if there is a core of this register map at base; is_decoder: which. */
int fmzip_identify(uintptr_t base, int is_decoder);
/* Write the configuration; 0 if it can be and no frame is in work. */
int fmzip_configure(uintptr_t base, const fmzip_config *config);
/* Load tables of the coder rans, behind the configuration; size is a multiple of 4. */
int fmzip_load_tables(uintptr_t base, const uint8_t *tables, size_t size);
void fmzip_start(uintptr_t base);
void fmzip_start_tile(uintptr_t base, int raw);
/* Wait for the end of a frame, reading STATUS at most so many times: its fault, 0 if none, or -1. */
int fmzip_wait(uintptr_t base, unsigned long reads);
uint32_t fmzip_frame_bytes(uintptr_t base);
#endif
