// PoolOnFiles: PoolOnNull for workers that read their configuration from files, one each.
#pragma once

#include <fstream>
#include <string>

#include "support/pool_on_null.h"

namespace weir::test {

class PoolOnFiles : public PoolOnNull {
 protected:
  /// Writes a worker's file: `quota` connections, and `keys` in [pool.main].
  void write(const std::string& worker, int max, const std::string& keys, int quota = 8) {
    std::ofstream file(path(worker));
    file << config(server_.dsn(), max, "quota = \"db\"\n" + keys)
         << "\n[quota.db]\nlimit = " << quota << "\n";
  }
  [[nodiscard]] std::string path(const std::string& worker) const {
    return (files_.path() / (worker + ".toml")).string();
  }
  [[nodiscard]] Runtime open_file(const std::string& worker) const {
    return Runtime::from_file(path(worker));
  }

 private:
  TempFolder files_;
};

}  // namespace weir::test
