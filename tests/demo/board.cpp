#include "demo/board.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <new>
#include <system_error>

namespace weir::demo {
namespace {

constexpr std::size_t kLine = 64;

std::size_t round_up(std::size_t bytes) { return (bytes + kLine - 1) / kLine * kLine; }

}  // namespace

Board::Board(std::size_t workers, std::size_t requests) : workers_(workers), requests_(requests) {
  const std::size_t gauges_at = round_up(sizeof(Header));
  const std::size_t outcomes_at = gauges_at + workers * sizeof(Gauge);
  bytes_ = outcomes_at + requests * sizeof(std::atomic<std::uint64_t>);
  memory_ = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory_ == MAP_FAILED) {
    throw std::system_error(errno, std::generic_category(), "mmap of the board");
  }
  auto* base = static_cast<std::byte*>(memory_);
  header_ = new (base) Header;
  gauges_ = reinterpret_cast<Gauge*>(base + gauges_at);
  std::uninitialized_default_construct_n(gauges_, workers);
  outcomes_ = reinterpret_cast<std::atomic<std::uint64_t>*>(base + outcomes_at);
  std::uninitialized_value_construct_n(outcomes_, requests);
}

Board::~Board() { munmap(memory_, bytes_); }

std::vector<pid_t> Board::pids() const {
  std::vector<pid_t> pids;
  for (std::size_t i = 0; i < workers_; ++i) pids.push_back(gauges_[i].pid.load());
  pids.push_back(header_->census_pid.load());
  std::erase(pids, 0);
  return pids;
}

void Board::write_outcome(std::size_t request, Outcome outcome) {
  outcomes_[request].store(outcome.latency_us << 8 | static_cast<std::uint64_t>(outcome.end));
}

Outcome Board::outcome(std::size_t request) const {
  const std::uint64_t word = outcomes_[request].load();
  return {static_cast<End>(word & 0xFF), word >> 8};
}

std::vector<Outcome> Board::outcomes() const {
  std::vector<Outcome> all(requests_);
  for (std::size_t i = 0; i < requests_; ++i) all[i] = outcome(i);
  return all;
}

void Board::note_error(const char* text) {
  std::uint32_t none = 0;
  if (!header_->error_state.compare_exchange_strong(none, 1)) return;
  // What libpq says ends with a newline.
  const std::size_t length = std::min(std::strcspn(text, "\n"), header_->error.size() - 1);
  std::memcpy(header_->error.data(), text, length);
  header_->error_state.store(2);
}

std::string Board::first_error() const {
  return header_->error_state.load() == 2 ? header_->error.data() : "";
}

}  // namespace weir::demo
