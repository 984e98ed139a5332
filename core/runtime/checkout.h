// Checkout: one acquire as listeners are told of it: that it started, and then exactly one of how
// it ended. Costs a look at whether anybody listens.
// Threads: one. Fork: none survives.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/status.h"
#include "pool/pool.h"
#include "runtime/runtime.h"

namespace weir::runtime {

class Checkout {
 public:
  /// One that starts now. `label` outlives it.
  Checkout(const PoolHandle& handle, std::string_view label);
  /// One that started before, of which nobody has been told how it ended.
  Checkout(const PoolHandle& handle, std::string_view label, std::uint64_t started_ns)
      : handle_(handle), label_(label), started_ns_(started_ns) {}

  /// Says why there is no loan, and answers the same.
  Status failed(Status why) const;
  /// Says that there is one. Not ok: a listener refuses, and it has been given back.
  Status succeeded(pool::Pool& pool, const pool::Loan& loan) const;

 private:
  [[nodiscard]] Code tell(pool::Event event) const;

  const PoolHandle& handle_;
  const std::string_view label_;
  std::uint64_t started_ns_ = 0;  // 0: nobody listened
};

}  // namespace weir::runtime
