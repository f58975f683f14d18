/* SPDX-License-Identifier: Apache-2.0
 * Driver and C model against frames of the reference; the driver on registers in memory. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fmzip_model.h"

static uint8_t *load(const char *folder, int number, const char *what, size_t *size) {
    char name[512];
    snprintf(name, sizeof name, "%s/frame%d.%s", folder, number, what);
    FILE *file = fopen(name, "rb");
    if (!file) return NULL;
    fseek(file, 0, SEEK_END);
    *size = (size_t)ftell(file);
    rewind(file);
    uint8_t *data = malloc(*size + 1);
    if (fread(data, 1, *size, file) != *size) *size = 0;
    fclose(file);
    return data;
}

static int fail(int number, const char *what) {
    printf("FAIL: frame %d: %s\n", number, what);
    return 1;
}

/* The configuration ends up in registers as the head of the frame has it. */
static int check_driver(int number, const fmzip_config *config, const uint8_t *frame) {
    static uint32_t registers[1u << (FMZIP_ADDRESS_BITS - 2)];
    uintptr_t base = (uintptr_t)registers;
    memset(registers, 0, sizeof registers);
    if (!fmzip_identify(base, 0)) return fail(number, "zeros are taken for a core");
    registers[FMZIP_IDENT / 4] = FMZIP_IDENT_VALUE;
    if (fmzip_identify(base, 0)) return fail(number, "an encoder is not recognised");
    if (!fmzip_identify(base, 1)) return fail(number, "an encoder is taken for a decoder");
    registers[FMZIP_STATUS / 4] = FMZIP_STATUS_BUSY;
    if (!fmzip_configure(base, config)) return fail(number, "a busy core is configured");
    if (fmzip_wait(base, 10) != -1) return fail(number, "a busy core is done");
    registers[FMZIP_STATUS / 4] = 0;
    if (fmzip_configure(base, config)) return fail(number, "it cannot be configured");
    for (size_t k = 0; k < FMZIP_STATIC_BYTES; k++)
        if ((registers[FMZIP_HEAD / 4 + k / 4] >> 8 * (k % 4) & 0xff) != frame[k])
            return fail(number, "the registers differ from the head");
    if (registers[FMZIP_MULTIPLIER / 4] != fmzip_multiplier(config))
        return fail(number, "multiplier");
    fmzip_start(base);
    if (registers[FMZIP_CONTROL / 4] != FMZIP_CONTROL_START) return fail(number, "start");
    registers[FMZIP_STATUS / 4] = FMZIP_STATUS_DONE | 3u << FMZIP_STATUS_FAULT_LOW;
    return fmzip_wait(base, 1) == 3 ? 0 : fail(number, "fault");
}

static int check_model(int number, const fmzip_config *config, const fmzip_coding *coding,
                       const uint8_t *frame, size_t size, const uint8_t *values,
                       const uint8_t *decoded, size_t count) {
    size_t room = (size_t)fmzip_max_bytes(config);
    uint8_t *made = malloc(room), *back = malloc(count);
    int bad = 0;
    if (size > room) bad = fail(number, "larger than fmzip_max_bytes");
    else if (fmzip_model_encode(config, coding, values, made, room) != size ||
             memcmp(made, frame, size))
        bad = fail(number, "the encoder's model differs");
    else if (fmzip_model_decode(frame, size, coding, back) || memcmp(back, decoded, count))
        bad = fail(number, "the decoder's model differs");
    else {
        made[size - 1] ^= 1;
        if (!fmzip_model_decode(made, size, coding, back)) bad = fail(number, "damage is not seen");
    }
    free(made);
    free(back);
    return bad;
}

int main(int argc, char **argv) {
    const char *folder = argc > 1 ? argv[1] : "vectors";
    int number = 0;
    for (;; number++) {
        size_t size = 0, count = 0, decoded_count = 0;
        uint8_t *frame = load(folder, number, "bin", &size);
        if (!frame) break;
        uint8_t *values = load(folder, number, "values", &count);
        uint8_t *decoded = load(folder, number, "decoded", &decoded_count);
        fmzip_config config;
        if (!values || !decoded || fmzip_parse(frame, size, &config))
            return fail(number, "not a frame");
        if (check_driver(number, &config, frame)) return 1;
        uint32_t end = fmzip_head_bytes(&config), tiles = fmzip_tiles(&config);
        for (uint32_t tile = 0; tile < tiles; tile++) {
            fmzip_extent e;
            if (fmzip_tile(frame, size, tile, &e) || e.offset != end)
                return fail(number, "a tile is not where the one before ends");
            end += e.bytes;
            fmzip_config alone = fmzip_alone(&config, &e);
            if (fmzip_check(&alone) || fmzip_tiles(&alone) != 1)
                return fail(number, "a tile alone");
        }
        if (end != size) return fail(number, "the tiles do not end with the frame");
        size_t tables_size = 0, rounds = 0;
        uint8_t *tables = load(folder, number, "tables", &tables_size);
        uint8_t *diffusion = load(folder, number, "diffusion", &rounds);
        if (config.coder == FMZIP_CODER_RANS && (!tables || rounds != 4))
            return fail(number, "no tables, or not how it is rounded");
        fmzip_coding coding = {tables, tables_size, 0, 0, 0, 0};
        if (diffusion) {
            coding.rounding = diffusion[0];
            coding.left = diffusion[1];
            coding.above = diffusion[2];
            coding.corner = diffusion[3];
        }
        if (check_model(number, &config, tables ? &coding : NULL, frame, size, values, decoded,
                        count))
            return 1;
        free(tables);
        free(diffusion);
        free(frame);
        free(values);
        free(decoded);
    }
    if (!number) return fail(0, "no vectors");
    printf("PASS: %d frames through the driver and the C model\n", number);
    return 0;
}
