#include "cli/drivers.h"

#include "base/log.h"
#include "driver/plugin_path.h"

namespace weir::cli {

std::vector<std::string> plugin_path_of(const config::RuntimeConfig& config) {
  return config.plugin_path.empty() ? driver::default_plugin_path() : config.plugin_path;
}

Result<driver::Dsn> parse_dsn(const std::string& driver_name, const std::string& dsn,
                              const std::vector<std::string>& plugins) {
  static Log log;  // what a driver has to say besides its errors is not for this command's reader
  const Result<const driver::Driver*> driver = driver::Driver::load(driver_name, plugins, log);
  if (!driver.ok()) return driver.status();
  return driver::Dsn::parse(*driver.value(), dsn);
}

Result<driver::Dsn> parse_dsn(const config::PoolConfig& pool,
                              const std::vector<std::string>& plugins) {
  Result<driver::Dsn> dsn = parse_dsn(pool.driver, pool.dsn, plugins);
  if (!dsn.ok()) return Status(dsn.status()).in("pool " + pool.name);
  return dsn;
}

}  // namespace weir::cli
