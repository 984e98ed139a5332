// Any text as a weir.toml: it is refused with a text that names it, or what it says is within the
// documented ranges; and a dsn is never told.
#include <string>

#include "config/load.h"
#include "input.h"

namespace {

constexpr const char* kSecret = "hunter2-correct-horse";

void check(const weir::config::PoolConfig& pool) {
  using weir::fuzz::require;
  require(!pool.name.empty() && pool.name.size() <= 31, "a pool has a name", pool.name);
  require(pool.max >= 1, "max is at least 1", pool.name);
  require(pool.min <= pool.max, "min is at most max", pool.name);
  require(pool.acquire_timeout.count() >= 0, "no timeout is negative", pool.name);
}

void read(const std::string& text) {
  using weir::fuzz::require;
  const auto config = weir::config::parse_config(text, "fuzz.toml");
  if (!config.ok()) {
    const std::string message = config.status().message();
    require(message.find("fuzz.toml") != std::string::npos, "a refusal names the file", message);
    require(message.find(kSecret) == std::string::npos, "a dsn is not told", message);
    return;
  }
  require(!config.value().pools.empty(), "there is a pool");
  for (const weir::config::PoolConfig& pool : config.value().pools) check(pool);
  for (const weir::config::QuotaConfig& quota : config.value().quotas) {
    require(quota.limit >= 1, "a quota allows something", quota.name);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(  // NOLINT(readability-identifier-naming): libFuzzer's name
    const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  if (text.find(kSecret) != std::string::npos) return 0;  // it is told to whoever knows it
  read(text);
  read(std::string("[pool.main]\ndriver = \"postgres\"\ndsn = \"postgres://app:") + kSecret +
       "@db/app\"\n" + text);
  return 0;
}
