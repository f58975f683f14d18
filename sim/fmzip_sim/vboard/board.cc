// The virtual board: the compiled system, the SDRAM chip at its pins, and the link as bytes over a
// socket that is inherited. One loop, one clock; all inputs depend on state alone, so each cycle is:
// set inputs, let the outputs settle, sample them, take the clock's edge.
//
//   board FD [--stats] [--serial] [--record FILE]
//   board --play FILE [--stats]
//
// --record notes in a file in which cycle the system took which byte; --play gives it each byte from
// that cycle on, in place of a host, and says what all pins did: two programs of the same system must
// say the same.
//
// With --serial the bytes pass the compiled UART and a line, bit by bit. SIGUSR1 switches the board
// off and on again: all is forgotten but what is on the line.
//
// With --stats the end is a line with the cycles, the time that they took and that of the processor,
// and what the chip counted while `marker` was high.
// What the chip's datasheet forbids ends the run with a line on stderr, status 2.

#include "soc.h"

#include "cycle.h"
#include "line.h"
#include "sdram_chip.h"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

constexpr unsigned kPollCycles = 256;  // how often the link is looked at
// Without a byte on the link or a column on the memory's bus for so long nothing happens until the
// host speaks, but for refreshes: the longest silence of a system that works is the latency of a
// tile. The clock then stands still, for the controller's and the chip's count of time to the next
// refresh as for all else, so that none can be missed.
constexpr unsigned kIdleCycles = 16384;

volatile std::sig_atomic_t off_and_on = 0;

void ask_off_and_on(int) { off_and_on = 1; }

// A byte that was taken in a cycle; what a record is made of.
struct Taken {
    uint64_t cycle, byte;
};

class Link {
public:
    explicit Link(int fd) : fd_(fd) {}
    explicit Link(std::vector<Taken> script) : fd_(-1), script_(std::move(script)) {
        for (const Taken &one : script_) in_.push_back(static_cast<char>(one.byte));
    }

    bool has_byte(uint64_t cycle) const {
        return place_ < in_.size() && (fd_ >= 0 || script_[place_].cycle <= cycle);
    }
    uint8_t byte() const { return static_cast<uint8_t>(in_[place_]); }
    void pop() { ++place_; }
    bool has_room() const { return out_.size() < (1 << 20); }
    void push(uint8_t byte) { out_.push_back(static_cast<char>(byte)); }
    bool has_output() const { return !out_.empty(); }

    // Exchange bytes with the host; with `block`, wait for some. False: the host is gone.
    bool exchange(bool block) {
        if (fd_ < 0) {
            out_.clear();
            return !block || place_ < in_.size();
        }
        const bool more = place_ < in_.size();
        pollfd p{fd_, static_cast<short>((more ? 0 : POLLIN) | (out_.empty() ? 0 : POLLOUT)), 0};
        if (p.events == 0) return true;
        if (poll(&p, 1, block ? -1 : 0) < 0 && errno != EINTR) return false;
        if (p.revents & POLLOUT) {
            const ssize_t n = send(fd_, out_.data(), out_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
            if (n < 0 && errno != EAGAIN) return false;
            if (n > 0) out_.erase(0, static_cast<size_t>(n));
        }
        if (p.revents & (POLLIN | POLLHUP | POLLERR)) {
            char buffer[65536];
            const ssize_t n = recv(fd_, buffer, sizeof buffer, MSG_DONTWAIT);
            if (n == 0 || (n < 0 && errno != EAGAIN)) return false;
            if (n > 0) {
                in_.assign(buffer, static_cast<size_t>(n));
                place_ = 0;
            }
        }
        return true;
    }

private:
    int fd_;
    std::vector<Taken> script_;
    std::string in_, out_;
    size_t place_ = 0;
};

std::vector<Taken> read_record(const char *path) {
    std::vector<Taken> found;
    Taken one;
    if (std::FILE *file = std::fopen(path, "rb")) {
        while (std::fread(&one, sizeof one, 1, file) == 1) found.push_back(one);
        std::fclose(file);
    }
    return found;
}

// A digest of what pins did, cycle by cycle.
class Trace {
public:
    void add(uint64_t what) { digest_ = (digest_ ^ what) * 0x100000001b3; }
    void add(const SdramPins &p) {
        add(uint64_t{p.a} << 24 | uint64_t{p.ba} << 16 | p.dqm << 8 | p.cke << 5 | p.cs_n << 4 |
            p.ras_n << 3 | p.cas_n << 2 | p.we_n << 1 | unsigned(p.dq_oe));
        add(p.dq);
    }
    uint64_t digest() const { return digest_; }

private:
    uint64_t digest_ = 0xcbf29ce484222325;
};

}  // namespace

int main(int argc, char **argv) {
    bool stats = false, serial = false, wrong = false;
    const char *fd = nullptr, *play = nullptr, *record = nullptr;
    for (int k = 1; k < argc; ++k) {
        const std::string word = argv[k];
        if (word == "--stats") stats = true;
        else if (word == "--serial") serial = true;
        else if (word == "--play" && k + 1 < argc) play = argv[++k];
        else if (word == "--record" && k + 1 < argc) record = argv[++k];
        else if (word[0] == '-' || fd) wrong = true;
        else fd = argv[k];
    }
    if (wrong || !fd == !play || (play && (serial || record))) {
        std::fprintf(stderr, "usage: board FD [--stats] [--serial] [--record FILE]\n"
                             "       board --play FILE [--stats]\n");
        return 2;
    }
    std::signal(SIGUSR1, ask_off_and_on);
    Link link = play ? Link(read_record(play)) : Link(std::atoi(fd));
    std::FILE *notes = record ? std::fopen(record, "wb") : nullptr;
    Trace trace;
    SerialLine line;
    std::unique_ptr<SdramChip> chip;
    cxxrtl_design::p_soc soc;

    uint64_t cycles = 0;
    double busy_s = 0;
    unsigned idle = 0;
    auto since = std::chrono::steady_clock::now();
    auto stop_watch = [&] {
        const auto now = std::chrono::steady_clock::now();
        busy_s += std::chrono::duration<double>(now - since).count();
        since = now;
    };
    auto power_up = [&] {
        chip = std::make_unique<SdramChip>();
        soc.p_rx__valid.set<uint8_t>(0);
        for (int k = 0; k < 4; ++k) {
            soc.p_rst.set<uint8_t>(k < 2);
            settle(soc);
            // Before the first edge the pins show what was going on when the power went.
            if (k > 0) chip->clock(sdram_pins(soc));
            edge(soc);
        }
        // Before the host is heard: its first frame then takes as many cycles as any other.
        while (!chip->powered_up()) {
            settle(soc);
            chip->clock(sdram_pins(soc));
            edge(soc);
        }
    };
    power_up();
    for (bool flush = false;;) {
        if (flush || cycles % kPollCycles == 0) {
            const bool block = idle > kIdleCycles;
            if (block) stop_watch();
            if (!link.exchange(block)) break;
            if (block) since = std::chrono::steady_clock::now();
            if (block) idle = kIdleCycles - kPollCycles;
            flush = false;
            if (off_and_on) {
                off_and_on = 0;
                power_up();
            }
        }
        soc.p_sdram__dq__i.set<uint16_t>(chip->dq());
        bool offer = link.has_byte(cycles), room = link.has_room();
        uint8_t byte = offer ? link.byte() : 0;
        if (serial) {
            if (line.begin(offer, byte)) {
                link.pop();
                flush = !link.has_byte(cycles);
            }
            offer = line.has_byte();
            byte = line.byte();
            room = line.has_room();
        }
        soc.p_rx__valid.set<uint8_t>(offer);
        soc.p_rx__data.set<uint8_t>(byte);
        soc.p_tx__ready.set<uint8_t>(room);
        settle(soc);
        // Until it has powered up, the chip is all that the system waits for.
        const bool marker = soc.p_marker.get<uint8_t>();  // and in a window the time itself counts
        const SdramPins pins = sdram_pins(soc);
        bool moved = chip->clock(pins, marker) || !chip->powered_up() || marker;
        const bool taken = offer && soc.p_rx__ready.get<uint8_t>();
        bool given = room && soc.p_tx__valid.get<uint8_t>();
        uint8_t out = soc.p_tx__data.get<uint8_t>();
        if (play) {
            trace.add(pins);
            trace.add(out << 4 | marker << 3 | taken << 2 | given << 1 | soc.p_rx__ready.get<uint8_t>());
        }
        if (taken && notes) {
            const Taken one{cycles, byte};
            std::fwrite(&one, sizeof one, 1, notes);
        }
        moved |= taken || given;
        if (serial) {
            given = line.end(taken, given, out, out);
            moved |= !line.idle();
        } else if (taken) {
            link.pop();
            flush = !link.has_byte(cycles);
        }
        if (given) {
            link.push(out);
            flush |= out == 0;  // the end of a packet
        }
        edge(soc);
        ++cycles;
        idle = moved ? 0 : idle + 1;
    }
    stop_watch();
    if (notes) std::fclose(notes);
    if (play) std::printf("%016llx\n", static_cast<unsigned long long>(trace.digest()));
    if (stats) {
        std::fprintf(stderr, "cycles %llu busy_s %.6f cpu_s %.6f counted:",
                     static_cast<unsigned long long>(cycles), busy_s,
                     static_cast<double>(std::clock()) / CLOCKS_PER_SEC);
        chip->counts().print(stderr);
        std::fprintf(stderr, "\n");
    }
    return 0;
}
