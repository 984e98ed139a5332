// Courier: carries a descriptor and some bytes from one process to another, as workers do.
//
// Made before the fork; each side uses its own end. Threads: one at a time per end.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

namespace weir::test {

/// What arrived. The descriptor is the receiver's to close; it is close-on-exec.
struct Parcel {
  int descriptor = -1;
  std::string bytes;
};

class Courier {
 public:
  enum class End { kParent = 0, kChild = 1 };

  Courier();
  Courier(const Courier&) = delete;
  Courier& operator=(const Courier&) = delete;
  ~Courier();

  /// Sends a copy of `descriptor`. False: the other side is gone.
  bool send(End from, int descriptor, std::string_view bytes);
  /// Waits for a parcel, at most 20 seconds; nullopt: there is none, or the other side is gone.
  std::optional<Parcel> receive(End at);

 private:
  std::array<int, 2> ends_{};
};

}  // namespace weir::test
