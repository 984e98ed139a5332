// weir's way: the workers' pools share one quota through the segment. All a server has to write.
#pragma once

#include <cstdint>

#include "demo/client.h"
#include "demo/source.h"
#include "weir/weir.hpp"

namespace weir::demo {

class WeirSource final : public Source {
 public:
  /// `runtime` may have been opened before this worker was forked. `client`, which serves what weir
  /// lends, must outlive it.
  WeirSource(Runtime& runtime, const Client& client, Board& board, Gauge& gauge);
  /// Leaves as a server does that ends well: closes what weir has open in this worker.
  ~WeirSource() override;
  End serve(std::uint64_t deadline_ns, std::uint32_t hold_us) override;

 private:
  Runtime& runtime_;
  Pool pool_;
  const Client& client_;
  Board& board_;
  Gauge& gauge_;
};

}  // namespace weir::demo
