// Sizes that were said per worker, made machine-wide: times the workers, within what a pool may be.
// Threads: plain functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/status.h"
#include "config/environment.h"
#include "config/tree.h"

namespace weir::config {

/// WEB_CONCURRENCY: how many workers there are, for Gunicorn and those that follow it; nullopt if
/// it is not set. kBadConfig if it is no number from 1 to 10000.
[[nodiscard]] Result<std::optional<std::uint32_t>> worker_count(const Environment& environment);

/// A node that stands for `count`.
[[nodiscard]] ConfigNode count_node(std::string key, std::int64_t count, Source source);
/// A node that stands for `text` as it is.
[[nodiscard]] ConfigNode text_node(std::string key, std::string text, Source source);

/// The text of `key`, its variables filled in; empty if it is not there or no text.
[[nodiscard]] std::string text_at(const ConfigNode& table, std::string_view key);
/// The number at `key`; nullopt if it is not there or no number.
[[nodiscard]] std::optional<std::int64_t> count_at(const ConfigNode& table, std::string_view key);
/// The limit of the quota that `pool` draws on; nullopt if there is none.
[[nodiscard]] std::optional<std::int64_t> quota_limit(const ConfigNode& root,
                                                      const ConfigNode& pool);

/// What a size per worker comes to: `count` in force, and what to say of where it comes from.
struct MachineWide {
  std::int64_t count = 0;
  std::string how;  // "", " times WEB_CONCURRENCY", " times WEB_CONCURRENCY, cut to 80"
};
/// `per_worker` times `workers`, at most `most`.
[[nodiscard]] MachineWide machine_wide(std::int64_t per_worker,
                                       std::optional<std::uint32_t> workers, std::int64_t most);

/// The most connections `pool` may be given by a size that was not said for it: its quota's limit,
/// or what any pool may have.
[[nodiscard]] std::int64_t most_of(const ConfigNode& root, const ConfigNode& pool);

}  // namespace weir::config
