// Driver: one loaded plugin, its ABI checked; Dsn: one parsed DSN of it.
//
// A driver is loaded once per process from configured directories (libweir's own by default), stays
// loaded for the life of the process and is initialised once. Loading is refused with a text that
// names the file, what was expected and what was found; nothing of a refused plugin is called.
// Threads: any, at once; init runs once, and who wants a driver that is being initialised waits for
// it. Fork: a child uses what its parent loaded.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/status.h"
#include "weir/driver.h"

namespace weir::driver {

/// Whether `table` has what a live handover takes.
[[nodiscard]] inline bool can_move_sessions(const weir_driver_t& table) {
  return WEIR_HAS_FIELD(&table, weir_driver_t, export_session) &&
         WEIR_HAS_FIELD(&table, weir_driver_t, import_session);
}

class Driver {
 public:
  /// The driver `name` ([a-z][a-z0-9]*) from the first of `directories` that has <name>.so; loads
  /// it on first use. Lives for ever. kNotFound lists where it looked; kBadDriver says what is
  /// wrong; a driver whose init failed answers that failure again, without another try.
  /// Reads files; `log` is where the first load of each driver lets it log, and must live for ever.
  static Result<const Driver*> load(const std::string& name,
                                    const std::vector<std::string>& directories, Log& log);

  /// A driver that is part of the program (tests). Verified and initialised like a loaded one.
  static Result<const Driver*> adopt(const weir_driver_t* table, const std::string& origin,
                                     Log& log);

  [[nodiscard]] const weir_driver_t& table() const { return *table_; }
  [[nodiscard]] std::string name() const { return table_->name; }
  /// Whether step() may block: such a driver is never used on an event loop. The keeper of a worker
  /// steps it all the same, and is late by as much.
  [[nodiscard]] bool blocks() const { return (table_->flags & WEIR_DRIVER_BLOCKS) != 0; }
  /// Whether its sessions are gone as soon as their process is.
  [[nodiscard]] bool ends_with_process() const {
    return (table_->flags & WEIR_DRIVER_ENDS_WITH_PROCESS) != 0;
  }
  /// Whether it reads the password that the host gives for a connection.
  [[nodiscard]] bool takes_password() const {
    return (table_->flags & WEIR_DRIVER_TAKES_PASSWORD) != 0;
  }
  /// Whether its sessions may move to another process. One session or another may still not.
  [[nodiscard]] bool can_move_sessions() const { return driver::can_move_sessions(*table_); }

 private:
  class Registry;
  explicit Driver(const weir_driver_t* table) : table_(table) {}
  const weir_driver_t* table_;
};

/// Move-only owner of a parsed DSN.
class Dsn {
 public:
  /// kBadConfig names the part that is wrong, without secrets.
  static Result<Dsn> parse(const Driver& driver, const std::string& text);
  Dsn(Dsn&& other) noexcept;
  Dsn& operator=(Dsn&& other) noexcept;
  ~Dsn();

  [[nodiscard]] const Driver& driver() const { return *driver_; }
  [[nodiscard]] const weir_dsn_t* get() const { return dsn_; }
  /// For people: normalised, without secrets.
  [[nodiscard]] std::string display() const { return info_.display; }
  [[nodiscard]] std::string server_identity() const { return info_.server_identity; }
  /// Equal for sessions that can stand for each other; the password does not count.
  [[nodiscard]] std::uint64_t fingerprint() const { return info_.fingerprint; }

 private:
  Dsn(const Driver& driver, weir_dsn_t* dsn, const weir_dsn_info_t& info)
      : driver_(&driver), dsn_(dsn), info_(info) {}
  const Driver* driver_;
  weir_dsn_t* dsn_;
  weir_dsn_info_t info_;
};

}  // namespace weir::driver
