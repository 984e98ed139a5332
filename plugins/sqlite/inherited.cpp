#include "inherited.h"

#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <utility>

#include "dsn.h"

namespace weir::sqlite {

/// In a list that only grows, by as many as were open at once; never freed, so that nobody who
/// walks it needs a lock.
struct OpenMark::Node {
  std::atomic<bool> is_taken{true};
  std::atomic<std::uint64_t> path_hash{0};
  std::atomic<pid_t> pid{0};  // 0: marks nothing
  Node* next = nullptr;
};

namespace {

std::atomic<OpenMark::Node*> first = nullptr;

OpenMark::Node* take_node() {
  for (OpenMark::Node* at = first.load(std::memory_order_acquire); at != nullptr; at = at->next) {
    bool is_taken = false;
    if (at->is_taken.compare_exchange_strong(is_taken, true)) return at;
  }
  auto* const made = new OpenMark::Node;
  made->next = first.load(std::memory_order_relaxed);
  while (!first.compare_exchange_weak(made->next, made, std::memory_order_release,
                                      std::memory_order_relaxed)) {
  }
  return made;
}

}  // namespace

OpenMark::OpenMark(std::string_view path) : node_(take_node()) {
  node_->path_hash.store(hash_of(path), std::memory_order_relaxed);
  node_->pid.store(getpid(), std::memory_order_release);
}

OpenMark::OpenMark(OpenMark&& other) noexcept : node_(std::exchange(other.node_, nullptr)) {}

OpenMark& OpenMark::operator=(OpenMark&& other) noexcept {
  OpenMark taken(std::move(other));
  std::swap(node_, taken.node_);
  return *this;
}

OpenMark::~OpenMark() {
  if (node_ == nullptr) return;
  node_->pid.store(0, std::memory_order_relaxed);
  node_->is_taken.store(false, std::memory_order_release);
}

bool is_inherited(std::string_view path) {
  const pid_t self = getpid();
  const std::uint64_t hash = hash_of(path);
  for (const OpenMark::Node* at = first.load(std::memory_order_acquire); at != nullptr;
       at = at->next) {
    const pid_t opener = at->pid.load(std::memory_order_acquire);
    const bool is_ours = opener == 0 || opener == self;
    if (!is_ours && at->path_hash.load(std::memory_order_relaxed) == hash) return true;
  }
  return false;
}

}  // namespace weir::sqlite
