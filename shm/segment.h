// Segment: the shared file, created, checked and mapped; and typed access to its tables.
//
// A segment is one file of fixed layout (layout.h) in a folder that belongs to its user. It appears
// whole or not at all; a file that is truncated, foreign, of another layout, of another boot or
// corrupt is refused with a text that names what is wrong, or rebuilt when nobody is attached to
// it. Threads: after open, all of it from any thread. Fork: the mapping stays valid in a child, but
// a child has no part in it until it joins for itself (worker_table.h).
#pragma once

#include <atomic>
#include <boost/interprocess/mapped_region.hpp>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/status.h"
#include "shm/layout.h"

namespace weir::shm {

/// Where segments live when nothing is configured: /run/weir if it is there, else
/// /dev/shm/weir-<euid>.
[[nodiscard]] std::string default_folder();

struct SegmentOptions {
  std::string folder;            // empty: default_folder(), made with mode 0700 when missing
  std::string name = "default";  // [a-z0-9][a-z0-9_-]*, at most 31 bytes
  Geometry geometry;             // used only when this call creates the segment
  Nanos patience = std::chrono::seconds(2);  // for somebody who is just rebuilding it
};

/// Whether `count` words from `first` on lie within `all` of them. What a row says of its range
/// must be asked this before it is believed: no checksum covers rows.
[[nodiscard]] constexpr bool lies_within(std::uint32_t first, std::uint32_t count,
                                         std::size_t all) {
  return first <= all && count <= all - first;
}

class Segment {
 public:
  enum class Access { kReadWrite, kReadOnly };

  /// Opens the segment, creating or rebuilding it when that is right. Blocks at most `patience`.
  /// kShmIncompatible: another layout; kShmCorrupt: damaged and in use; kNoPermission: not mine to
  /// open; kSystemError: the file system's word. Each names the path, what was found and what to
  /// do.
  static Result<std::unique_ptr<Segment>> open(const SegmentOptions& options);

  /// For operators: opens an existing segment to change what is in it; creates and rebuilds
  /// nothing. Counts as attached as long as it is open: nobody rebuilds it meanwhile. kNotFound if
  /// there is none; what else is wrong as open() says it, a poisoned one included.
  static Result<std::unique_ptr<Segment>> open_existing(const SegmentOptions& options);

  /// For monitors: maps an existing segment read-only; writes nothing, creates nothing, takes no
  /// lock. Opens a poisoned one too (is_poisoned()). kNotFound if there is none; what else is wrong
  /// as open() says it.
  static Result<std::unique_ptr<Segment>> open_read_only(const SegmentOptions& options);

  Segment(const Segment&) = delete;
  Segment& operator=(const Segment&) = delete;
  ~Segment();

  [[nodiscard]] const std::string& path() const { return path_; }
  /// A descriptor of the file for lock queries. May have become another file after a closefrom():
  /// see is_intact().
  [[nodiscard]] int fd() const { return fd_.load(std::memory_order_acquire); }
  /// Whether fd() still is the segment (fstat).
  [[nodiscard]] bool is_intact() const { return is_segment(fd()); }
  /// As is_intact(), reopening it when it is not. False: it cannot be reopened.
  bool make_intact();
  /// Closes fd(), if it still is the segment: in a forked child its locks would outlive the parent.
  /// The mapping stays. Async-signal-safe.
  void close_descriptor();
  /// Gives the mapping's memory back to the system; it stays valid, and what is read again comes
  /// back. For who keeps the segment mapped but has no more part in it.
  void drop_pages();
  /// Opens the file again as an open file description of its own. -1 and errno on failure; ESTALE
  /// if neither fd() nor the path is the segment any more.
  [[nodiscard]] int reopen() const;

  [[nodiscard]] const Geometry& geometry() const { return geometry_; }
  [[nodiscard]] Header& header() const { return *at<Header>(0); }
  [[nodiscard]] std::span<WorkerRow> workers() const {
    return {at<WorkerRow>(offsets_.workers), geometry_.workers};
  }
  [[nodiscard]] std::span<WaiterRow> waiters() const {
    return {at<WaiterRow>(offsets_.waiters), geometry_.waiters};
  }
  [[nodiscard]] std::span<QuotaRow> quotas() const {
    return {at<QuotaRow>(offsets_.quotas), geometry_.quotas};
  }
  [[nodiscard]] std::span<PoolRow> pools() const {
    return {at<PoolRow>(offsets_.pools), geometry_.pools};
  }
  [[nodiscard]] std::span<Word> places() const {
    return {at<Word>(offsets_.places), geometry_.places};
  }
  [[nodiscard]] std::span<Word> permits() const {
    return {at<Word>(offsets_.permits), geometry_.permits};
  }
  [[nodiscard]] std::span<PlaceInfo> place_info() const {
    return {at<PlaceInfo>(offsets_.place_info), geometry_.places};
  }
  [[nodiscard]] std::span<StatsRow> pool_totals() const {
    return {at<StatsRow>(offsets_.pool_totals), geometry_.pools};
  }
  /// Row of worker w, k-th of its pools: [w * stats_per_worker + k].
  [[nodiscard]] std::span<StatsRow> stats() const {
    return {at<StatsRow>(offsets_.stats),
            std::size_t{geometry_.workers} * geometry_.stats_per_worker};
  }
  [[nodiscard]] std::span<EventRow> events() const {
    return {at<EventRow>(offsets_.events),
            std::size_t{geometry_.workers} * geometry_.events_per_worker};
  }

  /// Somebody wrote what no protocol step writes. From now on nothing new is opened through this
  /// segment; leases live on. Keeps the first reason.
  void poison(std::string_view reason) const;
  [[nodiscard]] bool is_poisoned() const {
    return header().poisoned.load(std::memory_order_relaxed) != 0;
  }
  /// kShmCorrupt with the reason and how to go on, if poisoned; else ok.
  [[nodiscard]] Status usable() const;

 private:
  Segment(std::string path, int fd, const Geometry& geometry,
          boost::interprocess::mapped_region region);

  [[nodiscard]] bool is_segment(int fd) const;
  template <typename T>
  [[nodiscard]] T* at(std::size_t offset) const {
    return reinterpret_cast<T*>(static_cast<std::byte*>(region_.get_address()) + offset);
  }

  std::string path_;
  std::atomic<int> fd_;
  std::uint64_t device_ = 0, inode_ = 0;
  Geometry geometry_;
  Offsets offsets_;
  boost::interprocess::mapped_region region_;
};

}  // namespace weir::shm
