// The compiled SDRAM controller, the chip behind it, and random traffic: every word that is read
// must be the one that was written last, and the chip ends the run at a violation.
//
//   soak CYCLES SEED
//
// Requests go to few rows, so that hits, misses and conflicts all come up; the mix changes every few
// thousand cycles: whole rows one behind the other, single words, long pauses in which the chip
// sleeps, and stalls of either side of the port. At the end, a line with what was done.

#include "controller.h"

#include "cycle.h"
#include "sdram_chip.h"

#include <deque>
#include <vector>

namespace {

constexpr unsigned kRowWords = FMZIP_ROW_WORDS;
constexpr unsigned kPlaces = 24;
constexpr uint64_t kWords =
    uint64_t{1} << (part::kRowBits + part::kBankBits + part::kColumnBits - 2);

struct Request {
    bool write;
    uint64_t address;
    unsigned words;
};

struct Expected {
    uint64_t address, word;
    bool known;
};

[[noreturn]] void differ(uint64_t cycle, const Expected &expected, uint64_t got) {
    std::fprintf(stderr, "cycle %llu: word %#llx is %#llx, expected %#llx\n",
                 static_cast<unsigned long long>(cycle),
                 static_cast<unsigned long long>(expected.address),
                 static_cast<unsigned long long>(got),
                 static_cast<unsigned long long>(expected.word));
    std::exit(2);
}

class Traffic {
public:
    explicit Traffic(uint64_t seed) : noise_(seed * 2 + 1) {
        for (unsigned k = 0; k < kPlaces; ++k) places_[k] = below(kWords / kRowWords);
        // Other rows of the same banks, and the ends of the memory.
        for (unsigned k = 0; k < 8; ++k) places_[k + 8] = places_[k] ^ 4;
        places_[16] = 0;
        places_[17] = kWords / kRowWords - 1;
    }

    // Choose what comes in the next thousands of cycles.
    void change() {
        whole_rows_ = below(3) == 0;
        writes_percent_ = static_cast<unsigned>(below(3) * 50);
        pause_ = below(4) == 0 ? 1 + below(3000) : 0;
        w_stall_percent_ = static_cast<unsigned>(below(2) * below(90));
        r_stall_percent_ = static_cast<unsigned>(below(2) * below(90));
    }

    Request next() {
        Request r;
        r.write = below(100) < writes_percent_;
        if (whole_rows_) {
            row_ = (row_ + 1) % (kWords / kRowWords);
            r.address = row_ * kRowWords;
            r.words = kRowWords;
            return r;
        }
        r.words = 1 + static_cast<unsigned>(below(below(4) == 0 ? kRowWords : 4));
        r.address = places_[below(kPlaces)] * kRowWords + below(kRowWords - r.words + 1);
        return r;
    }

    uint64_t pause() { return pause_ ? below(pause_) : 0; }
    bool w_willing() { return below(100) >= w_stall_percent_; }
    bool r_willing() { return below(100) >= r_stall_percent_; }
    uint64_t word() {
        noise_ ^= noise_ << 13;
        noise_ ^= noise_ >> 7;
        noise_ ^= noise_ << 17;
        return noise_;
    }
    uint64_t below(uint64_t end) { return (word() >> 11) % end; }

private:
    uint64_t noise_, places_[kPlaces], row_ = 0, pause_ = 0;
    unsigned writes_percent_ = 50, w_stall_percent_ = 0, r_stall_percent_ = 0;
    bool whole_rows_ = false;
};

}  // namespace

int main(int argc, char **argv) {
    if (argc != 3) {
        std::fprintf(stderr, "usage: soak CYCLES SEED\n");
        return 2;
    }
    const uint64_t cycles = std::strtoull(argv[1], nullptr, 10);
    Traffic traffic(std::strtoull(argv[2], nullptr, 10));
    cxxrtl_design::p_controller soc;
    SdramChip chip;
    std::vector<uint64_t> memory(kWords);
    std::vector<bool> known(kWords);
    std::deque<uint64_t> to_write;
    std::deque<Expected> to_read;
    Request request{};
    bool asking = false, offering = false;
    uint64_t pause = 0, reads = 0, writes = 0, checked = 0, asleep = 0;
    for (uint64_t cycle = 0; cycle < cycles; ++cycle) {
        if (cycle % 4096 == 0) traffic.change();
        // What is on its way is kept short, so that a change of the mix comes through.
        if (!asking && to_write.size() + to_read.size() < 4 * kRowWords) {
            if (pause) {
                --pause;
            } else {
                request = traffic.next();
                pause = traffic.pause();
                asking = true;
            }
        }
        offering = offering || (!to_write.empty() && traffic.w_willing());
        const bool willing = traffic.r_willing();
        soc.p_rst.set<uint8_t>(cycle < 2);
        soc.p_port__request__valid.set<uint8_t>(asking);
        soc.p_port__request__write.set<uint8_t>(request.write);
        soc.p_port__request__address.set<uint32_t>(static_cast<uint32_t>(request.address));
        soc.p_port__request__words.set<uint32_t>(request.words);
        soc.p_port__w__valid.set<uint8_t>(offering);
        soc.p_port__w__data.set<uint64_t>(offering ? to_write.front() : 0);
        soc.p_port__r__ready.set<uint8_t>(willing);
        soc.p_sdram__dq__i.set<uint16_t>(chip.dq());
        settle(soc);
        if (cycle >= 2) {
            if (offering && soc.p_port__w__ready.get<uint8_t>()) {
                to_write.pop_front();
                offering = false;
                ++writes;
            }
            if (willing && soc.p_port__r__valid.get<uint8_t>()) {
                const Expected expected = to_read.empty() ? Expected{} : to_read.front();
                const uint64_t got = soc.p_port__r__data.get<uint64_t>();
                if (to_read.empty() || (expected.known && expected.word != got))
                    differ(cycle, expected, got);
                to_read.pop_front();
                checked += expected.known;
                ++reads;
            }
            if (asking && soc.p_port__request__ready.get<uint8_t>()) {
                asking = false;
                // Requests are served in order: what is expected is known when they are made.
                for (uint64_t at = request.address; at < request.address + request.words; ++at) {
                    if (request.write) {
                        to_write.push_back(memory[at] = traffic.word());
                        known[at] = true;
                    } else {
                        to_read.push_back({at, memory[at], known[at]});
                    }
                }
            }
            asleep += soc.p_asleep.get<uint8_t>();
            chip.clock(sdram_pins(soc));
        }
        edge(soc);
    }
    std::printf("cycles %llu reads %llu checked %llu writes %llu asleep %llu\n",
                static_cast<unsigned long long>(cycles), static_cast<unsigned long long>(reads),
                static_cast<unsigned long long>(checked), static_cast<unsigned long long>(writes),
                static_cast<unsigned long long>(asleep));
    return 0;
}
