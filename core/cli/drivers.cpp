#include "cli/drivers.h"

#include "base/log.h"
#include "driver/plugin_path.h"

namespace weir::cli {

std::vector<std::string> plugin_path_of(const config::RuntimeConfig& config) {
  return config.plugin_path.empty() ? driver::default_plugin_path() : config.plugin_path;
}

Result<driver::Dsn> parse_dsn(const config::PoolConfig& pool,
                              const std::vector<std::string>& plugins) {
  static Log log;  // what a driver has to say besides its errors is not for this command's reader
  Result<const driver::Driver*> driver = driver::Driver::load(pool.driver, plugins, log);
  if (!driver.ok()) return Status(driver.status()).in("pool " + pool.name);
  Result<driver::Dsn> dsn = driver::Dsn::parse(*driver.value(), pool.dsn);
  if (!dsn.ok()) return Status(dsn.status()).in("pool " + pool.name);
  return dsn;
}

}  // namespace weir::cli
