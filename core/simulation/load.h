// Load: what callers ask of a pool, computed or recorded beforehand, and what its server goes
// through meanwhile. The same list for every policy: differences are the policies'.
//
// Named loads are made from a seed; the same shape gives the same list. Plain values, no threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weir::simulation {

inline constexpr std::uint32_t kNobody = UINT32_MAX;
/// More than this are not simulated: a request takes some 200 bytes meanwhile.
inline constexpr std::size_t kMostRequests = 4'000'000;

struct Request {
  std::uint64_t arrival_us = 0;  // since the beginning; with `follows` since the end of that one
  std::uint32_t hold_us = 0;     // how long its connection works for it
  std::uint32_t worker = 0;      // which worker it reaches
  std::uint32_t klass = 0;  // its priority class, from 1 in the order of configuration; 0: none
  std::uint32_t follows = kNobody;  // the request, earlier in the list, whose end it waits for
};

/// The server is away: connects are refused, sessions are gone.
struct Outage {
  std::uint64_t from_us = 0, to_us = 0;
};

struct Load {
  std::string name{};
  std::vector<Request> requests{};  // those that follow nobody in order of arrival
  std::vector<Outage> outages{};    // in order, apart from one another
  std::uint64_t length_us = 0;      // when the last one has arrived
  // How long whoever sent a request waits for a connection, from its arrival, time in line for a
  // thread included; 0: as long as the pool's acquire_timeout, from asking it.
  std::uint64_t patience_us = 0;
};

/// What a named load is made for.
struct LoadShape {
  std::uint32_t workers = 8;
  std::uint32_t connections = 20;  // what shares of capacity are shares of
  std::uint32_t seconds = 0;       // 0: as long as the load is by itself
  std::uint64_t seed = 20;
};

struct NamedLoad {
  std::string_view name, about;
};
[[nodiscard]] const std::vector<NamedLoad>& named_loads();

/// nullopt: no load has that name, or it would have more than kMostRequests.
[[nodiscard]] std::optional<Load> load_named(std::string_view name, const LoadShape& shape);

}  // namespace weir::simulation
