// The chip model alone: pins from stdin, as `fmzip_sim.sdram_pins.ChipPins` puts them together, one
// 64-bit word per cycle; on stdout, for each, what is on DQ in the next cycle.

#include "sdram_chip.h"

int main() {
    SdramChip chip;
    uint64_t v;
    while (std::fread(&v, sizeof v, 1, stdin) == 1) {
        SdramPins p;
        p.cke = v & 1;
        p.cs_n = v >> 1 & 1;
        p.ras_n = v >> 2 & 1;
        p.cas_n = v >> 3 & 1;
        p.we_n = v >> 4 & 1;
        p.dq_oe = v >> 5 & 1;
        p.dqm = v >> 6 & 3;
        p.ba = v >> 8 & ((1u << part::kBankBits) - 1);
        p.a = v >> (8 + part::kBankBits) & ((1u << part::kRowBits) - 1);
        p.dq = static_cast<uint16_t>(v >> (8 + part::kBankBits + part::kRowBits));
        chip.clock(p);
        const uint16_t dq = chip.dq();
        std::fwrite(&dq, sizeof dq, 1, stdout);
        // What comes before a violation shall be seen.
        std::fflush(stdout);
    }
    return 0;
}
