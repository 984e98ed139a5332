#include "spare_shells.h"

#include <algorithm>
#include <utility>

namespace weir::postgres {

std::optional<Shell> SpareShells::take(const SessionToken& session) {
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock.owns_lock()) return std::nullopt;
  auto found = std::find_if(shells_.begin(), shells_.end(),
                            [&](const Shell& shell) { return shell.session == session; });
  if (found == shells_.end()) {
    found = std::find_if(shells_.begin(), shells_.end(), [&](const Shell& shell) {
      return shell.session.address == session.address;
    });
  }
  if (found == shells_.end()) return std::nullopt;
  std::optional<Shell> taken(std::move(*found));
  shells_.erase(found);
  return taken;
}

void SpareShells::put(Shell shell) {
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (lock.owns_lock() && shells_.size() < kMost) shells_.push_back(std::move(shell));
}

}  // namespace weir::postgres
