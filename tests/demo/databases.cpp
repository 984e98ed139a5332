#include "demo/databases.h"

#include <algorithm>
#include <array>
#include <functional>
#include <stdexcept>

#include "demo/postgres.h"
#ifdef WEIR_DEMO_REDIS
#include "demo/redis.h"
#endif
#ifdef WEIR_DEMO_SQLITE
#include "demo/sqlite.h"
#endif

namespace weir::demo {
namespace {

struct Entry {
  std::string driver;
  std::function<std::unique_ptr<Database>(std::uint32_t quota)> make;
};

const std::vector<Entry>& entries() {
  static const std::vector<Entry> entries = {
      {"postgres", [](std::uint32_t quota) { return std::make_unique<PostgresDatabase>(quota); }},
#ifdef WEIR_DEMO_REDIS
      {"redis", [](std::uint32_t quota) { return std::make_unique<RedisDatabase>(quota); }},
#endif
#ifdef WEIR_DEMO_SQLITE
      {"sqlite", [](std::uint32_t) { return std::make_unique<SqliteDatabase>(); }},
#endif
  };
  return entries;
}

}  // namespace

std::vector<std::string> database_drivers() {
  std::vector<std::string> names;
  for (const Entry& entry : entries()) names.push_back(entry.driver);
  return names;
}

std::unique_ptr<Database> make_database(const std::string& driver, std::uint32_t quota) {
  const auto entry = std::find_if(entries().begin(), entries().end(),
                                  [&](const Entry& one) { return one.driver == driver; });
  if (entry == entries().end()) throw std::invalid_argument("no driver " + driver);
  return entry->make(quota);
}

}  // namespace weir::demo
