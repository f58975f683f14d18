// An SDR SDRAM that checks how it is used: every timing, bank state, refresh, order of power-up.
//
// Written from the datasheet's figures in sdram_part.h, which is made of fmzip.sdram, and apart from
// the controller, so that the two check each other. A violation ends the run with a line that names
// rule, cycle and bank, status 2. Cells keep their data as long as a chip guarantees it: a row that
// was neither refreshed nor opened within the refresh window has lost it. Modelled as far as the
// controller goes: bursts of one column, no auto-precharge, clock suspend or self refresh; whatever
// else is asked for is a violation, too.

#pragma once

#include "sdram_part.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

namespace sdram {
constexpr unsigned kBanks = 1u << part::kBankBits;
constexpr unsigned kRows = 1u << part::kRowBits;
constexpr unsigned kColumns = 1u << part::kColumnBits;
constexpr unsigned kPostponed = part::kPostponedMax;
constexpr unsigned kSlots = 8;  // more than any CAS latency
// Cycles are counted from far above 0, so that everything is long ago at first.
constexpr uint64_t kLongAgo = 0, kStart = uint64_t{1} << 40;
}  // namespace sdram

struct SdramPins {
    bool cke, cs_n, ras_n, cas_n, we_n, dq_oe;
    unsigned ba, a, dqm;
    uint16_t dq;
};

// The pins of a compiled design that has them as `sdram`.
template <class Design>
SdramPins sdram_pins(const Design &d) {
    SdramPins p;
    p.cke = d.p_sdram__cke.template get<uint8_t>();
    p.cs_n = d.p_sdram__cs__n.template get<uint8_t>();
    p.ras_n = d.p_sdram__ras__n.template get<uint8_t>();
    p.cas_n = d.p_sdram__cas__n.template get<uint8_t>();
    p.we_n = d.p_sdram__we__n.template get<uint8_t>();
    p.dq_oe = d.p_sdram__dq__oe.template get<uint8_t>();
    p.ba = d.p_sdram__ba.template get<uint8_t>();
    p.a = d.p_sdram__a.template get<uint16_t>();
    p.dqm = d.p_sdram__dqm.template get<uint8_t>();
    p.dq = d.p_sdram__dq__o.template get<uint16_t>();
    return p;
}

// What the chip saw, in the cycles that were to be counted. Toggles are from beat to beat, in either
// direction; beats that are not counted are the next one's past, too.
struct SdramCounts {
    uint64_t cycles = 0, open_cycles = 0, closed_cycles = 0, open_low_cycles = 0,
             closed_low_cycles = 0, act = 0, pre = 0, ref = 0, rd = 0, wr = 0, dq_write_toggles = 0,
             dq_read_toggles = 0, dq_write_ones = 0, dq_read_ones = 0;

    void print(std::FILE *to) const {
        const std::pair<const char *, uint64_t> all[] = {
            {"cycles", cycles},
            {"open_cycles", open_cycles},
            {"closed_cycles", closed_cycles},
            {"open_low_cycles", open_low_cycles},
            {"closed_low_cycles", closed_low_cycles},
            {"act", act},
            {"pre", pre},
            {"ref", ref},
            {"rd", rd},
            {"wr", wr},
            {"dq_write_toggles", dq_write_toggles},
            {"dq_read_toggles", dq_read_toggles},
            {"dq_write_ones", dq_write_ones},
            {"dq_read_ones", dq_read_ones},
        };
        for (const auto &one : all)
            std::fprintf(to, " %s %llu", one.first, static_cast<unsigned long long>(one.second));
    }
};

class SdramChip {
public:
    // What the controller sees on DQ in this cycle: data, or what nobody drives.
    uint16_t dq() const { return drives_ ? drive_ : 0xDEAD; }

    bool powered_up() const { return mode_set_; }

    const SdramCounts &counts() const { return counts_; }

    // Take the pins of a cycle, which is to be counted or not; returns whether a column moved.
    bool clock(const SdramPins &p, bool counted = false) {
        counted_ = counted;
        // In the order of a datasheet's truth table: RAS#, CAS#, WE# from bit 2.
        const unsigned command = p.cs_n ? NOP : p.ras_n << 2 | p.cas_n << 1 | unsigned(p.we_n);
        if (cycle_ > refresh_due_) fail("refresh", "more than " + text(sdram::kPostponed) + " postponed");
        if ((cycle_ & 15) == 0 || command != NOP) check_open();
        bool column = false;
        if (clock_enable(p.cke, command) && command != NOP) column = take(command, p);
        if (p.dq_oe && (drives_ || driven_ + 1 == cycle_))
            fail("data bus", "driven by the controller on or right behind read data");
        if (drives_) driven_ = cycle_;
        if (counted) count_time();
        ++cycle_;
        const unsigned slot = cycle_ % sdram::kSlots;
        // DQM acts on reads two cycles later.
        drives_ = coming_[slot] && mask_ != 3;
        drive_ = line_[slot];
        if (coming_[slot]) beat(line_[slot], line_counted_[slot], counts_.dq_read_toggles,
                                counts_.dq_read_ones);
        coming_[slot] = false;
        mask_ = p.dqm;
        return column;
    }

private:
    enum { MRS, REF, PRE, ACT, WR, RD, BST, NOP };
    struct Bank {
        bool open = false;
        unsigned row = 0;
        uint64_t act = sdram::kLongAgo, pre = sdram::kLongAgo, write = sdram::kLongAgo;
    };

    static std::string text(uint64_t n) { return std::to_string(n); }
    static const char *name(unsigned command) {
        static const char *const names[] = {"MRS", "REF", "PRE", "ACT", "WR", "RD", "BST", "NOP"};
        return names[command];
    }

    // Cycles that a time takes at least, and a number of clocks besides.
    static uint64_t least(double ns, unsigned clocks = 0) {
        const double cycles = std::ceil(ns / part::kPeriodNs - 1e-6);
        return cycles > clocks ? static_cast<uint64_t>(cycles) : clocks;
    }
    static uint64_t most(double ns) {
        return static_cast<uint64_t>(std::floor(ns / part::kPeriodNs + 1e-6));
    }

    [[noreturn]] void fail(const char *rule, const std::string &what, int bank = -1) const {
        const std::string where = bank < 0 ? "" : ", bank " + text(static_cast<uint64_t>(bank));
        std::fprintf(stderr, "SDRAM %s: %s: cycle %llu%s: %s\n", part::kName, rule,
                     static_cast<unsigned long long>(cycle_ - sdram::kStart), where.c_str(), what.c_str());
        std::exit(2);
    }

    void apart(const char *rule, uint64_t since, uint64_t needs, int bank = -1) const {
        if (cycle_ - since < needs)
            fail(rule, "after " + text(cycle_ - since) + " cycles, needs " + text(needs), bank);
    }

    void all_closed(unsigned command) const {
        for (unsigned k = 0; k < sdram::kBanks; ++k) {
            if (banks_[k].open)
                fail("bank state", std::string(name(command)) + " with the bank open", int(k));
            apart("tRP", banks_[k].pre, rp_, int(k));
        }
    }

    void check_open() const {
        for (unsigned k = 0; k < sdram::kBanks; ++k)
            if (banks_[k].open && cycle_ - banks_[k].act > ras_max_)
                fail("tRAS max", "row " + text(banks_[k].row) + " is open for too long", int(k));
    }

    // Follow CKE; returns whether commands are taken.
    bool clock_enable(bool cke, unsigned command) {
        if (cke == cke_) {
            if (cke && command != NOP) apart("tXP", cke_since_, part::kXpClocks);
            return cke;
        }
        apart("tCKE", cke_since_, part::kCkeClocks);
        if (!cke) {
            if (command == REF) fail("CKE", "self refresh is not modelled");
            if (command != NOP) fail("CKE", std::string(name(command)) + " with CKE falling");
            bool moving = drives_;
            for (unsigned k = 0; k < sdram::kSlots; ++k) moving = moving || coming_[k];
            if (moving) fail("CKE", "low within a burst: clock suspend is not modelled");
            for (unsigned k = 0; k < sdram::kBanks; ++k)
                if (banks_[k].open) apart("tWR", banks_[k].write, wr_, int(k));
        }
        cke_ = cke;
        cke_since_ = cycle_;
        if (cke && command != NOP) apart("tXP", cke_since_, part::kXpClocks);
        return cke;
    }

    bool take(unsigned command, const SdramPins &p) {
        const bool everything = p.a >> 10 & 1;  // A10 with PRE
        apart("tRFC", ref_, rfc_);
        apart("tMRD", mrs_, mrd_);
        if (cycle_ - sdram::kStart < power_up_) fail("power-up", std::string(name(command)) + " too early");
        if (!precharged_ && !(command == PRE && everything))
            fail("power-up", std::string(name(command)) + " before all banks were precharged");
        switch (command) {
        case ACT: activate(p.ba, p.a); break;
        case RD:
        case WR: move(command, p); return true;
        case PRE:
            for (unsigned k = 0; k < sdram::kBanks; ++k)
                if (everything || k == p.ba) precharge(k);
            precharged_ = precharged_ || everything;
            break;
        case REF: refresh(); break;
        case MRS: set_mode(p.ba, p.a); break;
        default: fail("burst", "BST of a burst of one column");
        }
        return false;
    }

    void activate(unsigned k, unsigned a) {
        Bank &bank = banks_[k];
        if (!mode_set_ || refreshes_ < part::kPowerUpRefreshes)
            fail("power-up", "ACT before MRS and " + text(part::kPowerUpRefreshes) + " REF", int(k));
        if (bank.open) fail("bank state", "ACT with the bank open", int(k));
        apart("tRP", bank.pre, rp_, int(k));
        apart("tRC", bank.act, rc_, int(k));
        if (act_bank_ != k) apart("tRRD", any_act_, rrd_, int(k));
        bank.open = true;
        bank.row = a & (sdram::kRows - 1);
        bank.act = any_act_ = cycle_;
        act_bank_ = k;
        counts_.act += counted_;
        uint64_t &charged = charged_[k * sdram::kRows + bank.row];
        const uint64_t alive = std::max(charged, refreshed_[bank.row]);
        // A row that was never opened holds what it held when the power came.
        if (charged == sdram::kLongAgo || cycle_ - alive > window_) {
            if (charged != sdram::kLongAgo) ++lost_rows_;
            uint16_t *cells = row(k);
            for (unsigned c = 0; c < sdram::kColumns; ++c) cells[c] = garbage();
        }
        charged = cycle_;
    }

    void move(unsigned command, const SdramPins &p) {
        Bank &bank = banks_[p.ba];
        const int k = static_cast<int>(p.ba);
        if (p.a >> 10 & 1) fail("auto-precharge", "a column with A10 high is not modelled", k);
        if (!bank.open) fail("bank state", std::string(name(command)) + " with the bank closed", k);
        apart("tRCD", bank.act, rcd_, k);
        uint16_t &cell = row(p.ba)[p.a & (sdram::kColumns - 1)];
        if (command == RD) {
            const unsigned slot = (cycle_ + cas_) % sdram::kSlots;
            coming_[slot] = true;
            line_[slot] = cell;
            line_counted_[slot] = counted_;
            counts_.rd += counted_;
            return;
        }
        if (!p.dq_oe) fail("data bus", "not driven in a write", k);
        const uint16_t mask = (p.dqm & 1 ? 0xFF : 0) | (p.dqm & 2 ? 0xFF00 : 0);
        cell = static_cast<uint16_t>((cell & mask) | (p.dq & ~mask));
        bank.write = cycle_;
        counts_.wr += counted_;
        beat(p.dq, counted_, counts_.dq_write_toggles, counts_.dq_write_ones);
    }

    void beat(uint16_t now, bool counted, uint64_t &toggles, uint64_t &ones) {
        if (counted) {
            toggles += static_cast<uint64_t>(__builtin_popcount(unsigned(now ^ before_)));
            ones += static_cast<uint64_t>(__builtin_popcount(now));
        }
        before_ = now;
    }

    void count_time() {
        bool open = false;
        for (const Bank &bank : banks_) open = open || bank.open;
        ++counts_.cycles;
        ++(cke_ ? open ? counts_.open_cycles : counts_.closed_cycles
                : open ? counts_.open_low_cycles
                       : counts_.closed_low_cycles);
    }

    void precharge(unsigned k) {
        Bank &bank = banks_[k];
        if (!bank.open) return;
        apart("tRAS", bank.act, ras_, int(k));
        apart("tWR", bank.write, wr_, int(k));
        bank.open = false;
        bank.pre = cycle_;
        counts_.pre += counted_;
    }

    void refresh() {
        all_closed(REF);
        for (unsigned k = 0; k < sdram::kBanks; ++k) apart("tRC", banks_[k].act, rc_, int(k));
        refreshed_[refreshes_++ % sdram::kRows] = cycle_;
        ref_ = cycle_;
        counts_.ref += counted_;
        // Up to as many may come early as may come late.
        const double cycle = static_cast<double>(cycle_);
        schedule_ = std::min(schedule_ + refi_, cycle + sdram::kPostponed * refi_);
        if (mode_set_) set_due();
    }

    void set_mode(unsigned ba, unsigned a) {
        all_closed(MRS);
        cas_ = a >> 4 & 7;
        if (ba || a & ~0x70u || cas_ < 2 || cas_ > 3)
            fail("mode", "MRS of " + text(a) + ": not a mode with bursts of one column");
        if (part::kPeriodNs < part::kClockMinNs[cas_] - 0.01)
            fail("tCK", "too short for CAS latency " + text(cas_));
        if (!mode_set_) schedule_ = static_cast<double>(cycle_);
        mode_set_ = true;
        mrs_ = cycle_;
        set_due();
    }

    void set_due() { refresh_due_ = static_cast<uint64_t>(schedule_ + (sdram::kPostponed + 1) * refi_); }

    uint16_t *row(unsigned k) {
        return &cells_[(size_t{k} * sdram::kRows + banks_[k].row) * sdram::kColumns];
    }

    uint16_t garbage() {
        noise_ = noise_ * 6364136223846793005u + 1442695040888963407u;
        return static_cast<uint16_t>(noise_ >> 48);
    }

    const uint64_t rc_ = least(part::kRcNs), ras_ = least(part::kRasNs), rp_ = least(part::kRpNs),
                   rcd_ = least(part::kRcdNs), rfc_ = least(part::kRfcNs),
                   rrd_ = least(part::kRrdNs, part::kRrdClocks),
                   wr_ = least(part::kWrNs, part::kWrClocks),
                   mrd_ = least(part::kMrdNs, part::kMrdClocks), power_up_ = least(part::kPowerUpNs),
                   ras_max_ = most(part::kRasMaxNs), window_ = most(part::kRefreshWindowNs);
    const double refi_ = part::kRefreshWindowNs / sdram::kRows / part::kPeriodNs;

    uint64_t cycle_ = sdram::kStart;
    Bank banks_[sdram::kBanks];
    std::vector<uint16_t> cells_ = std::vector<uint16_t>(size_t{sdram::kBanks} * sdram::kRows * sdram::kColumns);
    std::vector<uint64_t> charged_ = std::vector<uint64_t>(size_t{sdram::kBanks} * sdram::kRows, sdram::kLongAgo);
    std::vector<uint64_t> refreshed_ = std::vector<uint64_t>(sdram::kRows, sdram::kStart);
    bool mode_set_ = false, precharged_ = false, cke_ = true;
    unsigned cas_ = 0, act_bank_ = sdram::kBanks, mask_ = 0;
    uint64_t refreshes_ = 0, lost_rows_ = 0;
    uint64_t ref_ = sdram::kLongAgo, mrs_ = sdram::kLongAgo, any_act_ = sdram::kLongAgo, cke_since_ = sdram::kLongAgo;
    double schedule_ = 0;  // cycle at which as many refreshes as there were were due
    uint64_t refresh_due_ = ~uint64_t{0};
    bool drives_ = false, coming_[sdram::kSlots] = {};
    uint16_t drive_ = 0, line_[sdram::kSlots] = {};
    uint64_t driven_ = sdram::kLongAgo;  // last cycle in which the chip drove
    uint64_t noise_ = 1;
    SdramCounts counts_;
    bool counted_ = false, line_counted_[sdram::kSlots] = {};
    uint16_t before_ = 0;  // the beat that was on DQ last
};
