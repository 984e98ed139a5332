#include "driver/plugin.h"

#include <dlfcn.h>
#include <sys/stat.h>

#include <array>
#include <cstddef>
#include <cstdio>
#include <map>
#include <memory>
#include <mutex>
#include <utility>

#include "base/mutex.h"
#include "base/text.h"
#include "driver/host_services.h"

namespace weir::driver {
namespace {

// ---- finding and opening ------------------------------------------------------------------------

bool is_file(const std::string& path) {
  struct stat found {};
  return stat(path.c_str(), &found) == 0 && S_ISREG(found.st_mode);
}

Result<std::string> find_plugin(const std::string& name,
                                const std::vector<std::string>& directories) {
  const std::string file = "/" + name + ".so";
  std::string looked_in;
  for (const std::string& directory : directories) {
    std::string path = directory + file;
    if (is_file(path)) return path;
    if (!looked_in.empty()) looked_in += ", ";
    looked_in += show_text(directory);
  }
  if (looked_in.empty()) looked_in = "no folder at all: no plugin_path is set";
  return Status(Code::kNotFound,
                "driver " + show_text(name) + ": found no " + name + ".so; looked in " + looked_in);
}

std::string loader_error() {
  // glibc keeps this text per thread (dlerror(3), ATTRIBUTES), whatever the check's list says.
  const char* text = dlerror();  // NOLINT(concurrency-mt-unsafe)
  return text != nullptr ? text : "no reason given";
}

/// The table that the file at `path` offers, unverified.
Result<const weir_driver_t*> open_plugin(const std::string& path) {
  const auto refuse = [&](const std::string& why) {
    return Status(Code::kBadDriver, "driver " + show_text(path) + ": " + why);
  };
  void* const library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return refuse("cannot be loaded: " + loader_error());
  void* const entry = dlsym(library, "weir_driver_entry");
  if (entry == nullptr) return refuse("is not a weir driver: has no function weir_driver_entry");
  return reinterpret_cast<weir_driver_entry_fn>(entry)();
}

// ---- verifying ----------------------------------------------------------------------------------

/// What the ABI's first version ended with: all up to here is mandatory.
constexpr std::size_t kMandatoryBytes =
    offsetof(weir_driver_t, cancel) + sizeof(weir_driver_t::cancel);

/// The first mandatory function that is missing; null if all are there.
const char* missing_function(const weir_driver_t& table) {
#define WEIR_MANDATORY(member) \
  std::pair { #member, table.member != nullptr }
  const auto functions = std::to_array<std::pair<const char*, bool>>({
      WEIR_MANDATORY(init),
      WEIR_MANDATORY(parse_dsn),
      WEIR_MANDATORY(free_dsn),
      WEIR_MANDATORY(open_conn),
      WEIR_MANDATORY(free_conn),
      WEIR_MANDATORY(start),
      WEIR_MANDATORY(step),
      WEIR_MANDATORY(fd),
      WEIR_MANDATORY(native),
      WEIR_MANDATORY(is_usable),
      WEIR_MANDATORY(abandon),
      WEIR_MANDATORY(session_token),
      WEIR_MANDATORY(cancel),
  });
#undef WEIR_MANDATORY
  for (const auto& [name, is_set] : functions) {
    if (!is_set) return name;
  }
  return nullptr;
}

std::string hex(std::uint32_t number) {
  char text[16];
  std::snprintf(text, sizeof text, "0x%08x", number);
  return text;
}

/// Why `table` cannot be used; empty if it can. Reads a member only once what stands before it says
/// that it is there.
std::string fault_of(const weir_driver_t* table) {
  if (table == nullptr) return "weir_driver_entry returned no table";
  if (table->magic != WEIR_DRIVER_MAGIC) {
    return "magic " + hex(table->magic) + " found, " + hex(WEIR_DRIVER_MAGIC) + " expected";
  }
  if (table->abi_major != WEIR_DRIVER_ABI_MAJOR) {
    return "ABI " + std::to_string(table->abi_major) + "." + std::to_string(table->abi_minor) +
           " found, " + std::to_string(WEIR_DRIVER_ABI_MAJOR) + ".x expected";
  }
  if (table->struct_size < kMandatoryBytes) {
    return "table of " + std::to_string(table->struct_size) + " bytes found, at least " +
           std::to_string(kMandatoryBytes) + " expected";
  }
  if (table->name == nullptr || !is_name(table->name)) {
    return "name " + (table->name == nullptr ? "null" : show_text(table->name)) +
           " found, [a-z][a-z0-9]* expected";
  }
  if (table->version == nullptr) return "version null found, a text expected";
  if (const char* function = missing_function(*table); function != nullptr) {
    return std::string(function) + " null found, a function expected";
  }
  return {};
}

}  // namespace

// ---- initialising, once -------------------------------------------------------------------------

/// Everything that lives as long as the process because some driver was used.
class Driver::Registry {
 public:
  /// Never destroyed: drivers may be used by threads that outlive main().
  static Registry& instance() {
    static auto& registry = *new Registry;
    return registry;
  }

  /// The driver of a verified table; initialises it when it is new here.
  Result<const Driver*> driver_of(const weir_driver_t* table, const std::string& origin, Log& log) {
    Entry& entry = entry_of(table, log);
    // Not under mutex_: init is foreign code. Others who want this driver wait here until it is
    // done.
    std::call_once(entry.once, [&] {
      weir_error_t error = WEIR_ERROR_INIT;
      const std::int32_t code = table->init(entry.host.table(), &error);
      entry.outcome = read_error(code, error).in("driver " + show_text(origin) + ": init");
    });
    if (!entry.outcome.ok()) return entry.outcome;
    return &entry.driver;
  }

 private:
  struct Entry {
    Entry(const weir_driver_t* table, Log& log) : driver(table), host(table->name, log) {}
    std::once_flag once;
    Status outcome;  // of init; written inside `once`
    Driver driver;
    HostServices host;
  };

  Entry& entry_of(const weir_driver_t* table, Log& log) {
    const MutexLock lock(mutex_);
    std::unique_ptr<Entry>& entry = entries_[table];
    if (entry == nullptr) entry = std::make_unique<Entry>(table, log);
    return *entry;
  }

  Mutex mutex_;
  std::map<const weir_driver_t*, std::unique_ptr<Entry>> entries_ WEIR_GUARDED_BY(mutex_);
};

Result<const Driver*> Driver::load(const std::string& name,
                                   const std::vector<std::string>& directories, Log& log) {
  if (!is_name(name)) {  // also keeps "../" out of the path
    return Status(Code::kBadArgument,
                  "driver name " + show_text(name) + ": expected [a-z][a-z0-9]*");
  }
  const Result<std::string> path = find_plugin(name, directories);
  if (!path.ok()) return path.status();
  const Result<const weir_driver_t*> table = open_plugin(path.value());
  if (!table.ok()) return table.status();

  std::string fault = fault_of(table.value());
  if (fault.empty() && name != table.value()->name) {
    fault = "name " + show_text(table.value()->name) + " found, " + show_text(name) +
            " expected (the file's name)";
  }
  if (!fault.empty()) {
    return Status(Code::kBadDriver, "driver " + show_text(path.value()) + ": " + fault);
  }
  return Registry::instance().driver_of(table.value(), path.value(), log);
}

Result<const Driver*> Driver::adopt(const weir_driver_t* table, const std::string& origin,
                                    Log& log) {
  if (const std::string fault = fault_of(table); !fault.empty()) {
    return Status(Code::kBadDriver, "driver " + show_text(origin) + ": " + fault);
  }
  return Registry::instance().driver_of(table, origin, log);
}

// ---- Dsn ----------------------------------------------------------------------------------------

Result<Dsn> Dsn::parse(const Driver& driver, const std::string& text) {
  if (text.find('\0') != std::string::npos) {
    return Status(Code::kBadConfig, "dsn: expected text, found a zero byte in it");
  }
  weir_dsn_t* dsn = nullptr;
  weir_dsn_info_t info{};
  info.struct_size = sizeof info;
  weir_error_t error = WEIR_ERROR_INIT;
  const std::int32_t code = driver.table().parse_dsn(text.c_str(), &dsn, &info, &error);
  WEIR_TRY(read_error(code, error));
  if (dsn == nullptr) {
    return Status(Code::kBadDriver,
                  "driver " + driver.name() + ": parse_dsn succeeded without a dsn");
  }
  // The driver promised zeros at the end; what people read does not depend on it.
  info.display[sizeof info.display - 1] = '\0';
  info.server_identity[sizeof info.server_identity - 1] = '\0';
  return Dsn(driver, dsn, info);
}

Dsn::Dsn(Dsn&& other) noexcept
    : driver_(other.driver_), dsn_(std::exchange(other.dsn_, nullptr)), info_(other.info_) {}

Dsn& Dsn::operator=(Dsn&& other) noexcept {
  std::swap(driver_, other.driver_);
  std::swap(dsn_, other.dsn_);
  std::swap(info_, other.info_);
  return *this;
}

Dsn::~Dsn() {
  if (dsn_ != nullptr) driver_->table().free_dsn(dsn_);
}

}  // namespace weir::driver
