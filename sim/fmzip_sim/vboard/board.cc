// The virtual board: the compiled system, an ideal memory behind its port, and the link as bytes
// over a socket that is inherited. One loop, one clock; all inputs depend on state alone, so each
// cycle is: set inputs, let the outputs settle, sample them, take the clock's edge.
//
//   board FD [--stats]
//
// A request that breaks the memory port's rules ends the run with a line on stderr, status 2.

#include "soc.h"

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <string>
#include <vector>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

constexpr size_t kWordBytes = FMZIP_PORT_BYTES;
constexpr size_t kRowWords = FMZIP_ROW_BYTES / FMZIP_PORT_BYTES;
constexpr size_t kMemoryWords = (size_t{1} << FMZIP_MEMORY_LOG2) / FMZIP_PORT_BYTES;
constexpr unsigned kLatency = 6;       // cycles from a request to its first word
constexpr unsigned kPollCycles = 256;  // how often the link is looked at
// Without traffic on any port for so long nothing happens until the host speaks: the longest
// silence of a system that works is the latency of a tile.
constexpr unsigned kIdleCycles = 16384;
static_assert(kWordBytes == 8, "the memory model moves 64-bit words");

struct Request {
    bool write;
    size_t address, words;
};

// An ideal memory: one word per cycle, requests in order, no refresh.
class Memory {
public:
    void drive(cxxrtl_design::p_soc &soc) const {
        const bool ready = !queue_.empty() && wait_ == 0;
        soc.p_memory__request__ready.set<uint8_t>(queue_.size() < 2);
        soc.p_memory__w__ready.set<uint8_t>(ready && queue_.front().write);
        const bool read = ready && !queue_.front().write;
        soc.p_memory__r__valid.set<uint8_t>(read);
        if (read) soc.p_memory__r__data.set<uint64_t>(words_[queue_.front().address]);
    }

    // Returns whether anything moved. Call once per cycle, between `settle` and `edge`.
    bool clock(cxxrtl_design::p_soc &soc) {
        bool moved = false;
        const bool ready = !queue_.empty() && wait_ == 0;
        const bool take = queue_.size() < 2 && soc.p_memory__request__valid.get<uint8_t>();
        if (wait_ > 0) --wait_;
        if (ready) {
            Request &now = queue_.front();
            if (now.write ? soc.p_memory__w__valid.get<uint8_t>()
                          : soc.p_memory__r__ready.get<uint8_t>()) {
                if (now.write) words_[now.address] = soc.p_memory__w__data.get<uint64_t>();
                ++now.address;
                moved = true;
                if (--now.words == 0) {
                    queue_.pop_front();
                    if (!queue_.empty()) wait_ = kLatency;
                }
            }
        }
        if (take) {
            Request next{soc.p_memory__request__write.get<uint8_t>() != 0,
                         soc.p_memory__request__address.get<uint32_t>(),
                         soc.p_memory__request__words.get<uint32_t>()};
            check(next);
            if (queue_.empty()) wait_ = kLatency;
            queue_.push_back(next);
            moved = true;
        }
        return moved;
    }

private:
    static void check(const Request &r) {
        const char *what = nullptr;
        if (r.words == 0) what = "has no words";
        else if (r.address % kRowWords + r.words > kRowWords) what = "crosses a row";
        else if (r.address + r.words > kMemoryWords) what = "lies outside the memory";
        if (!what) return;
        std::fprintf(stderr, "memory port: request for %zu words at word %#zx %s\n", r.words,
                     r.address, what);
        std::exit(2);
    }

    std::vector<uint64_t> words_ = std::vector<uint64_t>(kMemoryWords);
    std::deque<Request> queue_;
    unsigned wait_ = 0;
};

class Link {
public:
    explicit Link(int fd) : fd_(fd) {}

    bool has_byte() const { return place_ < in_.size(); }
    uint8_t byte() const { return static_cast<uint8_t>(in_[place_]); }
    void pop() { ++place_; }
    bool has_room() const { return out_.size() < (1 << 20); }
    void push(uint8_t byte) { out_.push_back(static_cast<char>(byte)); }
    bool has_output() const { return !out_.empty(); }

    // Exchange bytes with the host; with `block`, wait for some. False: the host is gone.
    bool exchange(bool block) {
        pollfd p{fd_, static_cast<short>((has_byte() ? 0 : POLLIN) | (out_.empty() ? 0 : POLLOUT)),
                 0};
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
    std::string in_, out_;
    size_t place_ = 0;
};

#ifdef FMZIP_TWO_PHASE
// The way of CXXRTL's manual: everything settles while the clock is low, then comes the edge.
void settle(cxxrtl_design::p_soc &soc) {
    soc.p_clk.set<uint8_t>(0);
    soc.step();
}

void edge(cxxrtl_design::p_soc &soc) {
    soc.p_clk.set<uint8_t>(1);
    soc.step();
}
#else
// Evaluate one rising edge without its commit: the ports then show what they held before the edge.
// There is one clock, and no input depends on an output of the same cycle, so nothing has to settle
// while the clock is low; a design with feedback wires would need more than one evaluation.
void settle(cxxrtl_design::p_soc &soc) {
    soc.p_clk.set<uint8_t>(1);
    soc.prev_p_clk.set<uint8_t>(0);
    if (!soc.eval(nullptr)) {
        std::fprintf(stderr, "the compiled design has feedback wires\n");
        std::exit(2);
    }
}

void edge(cxxrtl_design::p_soc &soc) { soc.commit(); }
#endif

}  // namespace

int main(int argc, char **argv) {
    if (argc < 2) {
        std::fprintf(stderr, "usage: board FD [--stats]\n");
        return 2;
    }
    Link link(std::atoi(argv[1]));
    Memory memory;
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
    for (int k = 0; k < 4; ++k) {
        soc.p_rst.set<uint8_t>(k < 2);
        settle(soc);
        edge(soc);
    }
    for (bool flush = false;;) {
        if (flush || cycles % kPollCycles == 0) {
            const bool block = idle > kIdleCycles;
            if (block) stop_watch();
            if (!link.exchange(block)) break;
            if (block) since = std::chrono::steady_clock::now();
            if (block) idle = kIdleCycles - kPollCycles;
            flush = false;
        }
        memory.drive(soc);
        const bool offer = link.has_byte(), room = link.has_room();
        soc.p_rx__valid.set<uint8_t>(offer);
        soc.p_rx__data.set<uint8_t>(offer ? link.byte() : 0);
        soc.p_tx__ready.set<uint8_t>(room);
        settle(soc);
        bool moved = memory.clock(soc);
        if (offer && soc.p_rx__ready.get<uint8_t>()) {
            link.pop();
            moved = true;
            flush = !link.has_byte();
        }
        if (room && soc.p_tx__valid.get<uint8_t>()) {
            const uint8_t byte = soc.p_tx__data.get<uint8_t>();
            link.push(byte);
            moved = true;
            flush |= byte == 0;  // the end of a packet
        }
        edge(soc);
        ++cycles;
        idle = moved ? 0 : idle + 1;
    }
    stop_watch();
    if (argc > 2 && std::strcmp(argv[2], "--stats") == 0)
        std::fprintf(stderr, "cycles %llu busy_s %.6f\n", static_cast<unsigned long long>(cycles),
                     busy_s);
    return 0;
}
