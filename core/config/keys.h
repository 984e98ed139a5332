// The keys there are, section by section: how each is read and how it is written.
//
// The one list: weir.toml, environment overrides, `weir config show` and the checks of the manual's
// table all go by it. Threads: constant.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "config/pool_config.h"
#include "config/runtime_config.h"
#include "config/values.h"

namespace weir::config {

/// What kind of value a key has, for those who make one from the text of a variable.
enum class Form { kText, kTexts, kCount, kDuration, kChoice, kFlag, kTable };

template <typename Target>
struct Key {
  std::string_view name;
  Form form;
  Status (*read)(const Item&, Target&);
  /// As TOML; empty: nothing is set.
  std::string (*write)(const Target&);
  bool is_secret = false;  // `write` shows nothing of it
};

[[nodiscard]] std::span<const Key<RuntimeConfig>> runtime_keys();
[[nodiscard]] std::span<const Key<QuotaConfig>> quota_keys();
[[nodiscard]] std::span<const Key<PoolConfig>> pool_keys();

/// A section's keys by name and form.
struct KeyInfo {
  std::string_view name;
  Form form;
};
/// Of "runtime", "quota" or "pool".
[[nodiscard]] std::vector<KeyInfo> key_infos(std::string_view family);

/// Why `name` is no key of such a section, with the nearest that is one; nullopt if it is one.
[[nodiscard]] std::optional<std::string> key_problem(std::string_view family,
                                                     std::string_view name);

}  // namespace weir::config
