// Bits that flip in a segment under load: threads of a worker lend and return, wait and connect,
// while any word of any table becomes another one. Nothing crashes or hangs, whatever the figures
// say; a word that makes no sense poisons the segment; and unless the words that say who has what
// were hit themselves, every lease is one and the server never sees more sessions than the quota.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "base/file_descriptor.h"
#include "input.h"
#include "null/null.h"
#include "shm/layout.h"
#include "shm/segment.h"
#include "support/temp_folder.h"
#include "weir/weir.h"

namespace weir::fuzz {
namespace {

constexpr std::uint32_t kLimit = 3;
constexpr std::array<const char*, 2> kPools = {"main", "jobs"};

/// The null driver's own face, from the copy of it that the runtime loads.
const weir_null_client_t& client() {
  static const weir_null_client_t& found = [&]() -> const weir_null_client_t& {
    void* const library = dlopen(WEIR_PLUGINS "/null.so", RTLD_NOW | RTLD_LOCAL);
    require(library != nullptr, "the null driver is there");
    const auto entry = reinterpret_cast<weir_driver_entry_fn>(dlsym(library, "weir_driver_entry"));
    require(entry != nullptr, "it is a driver");
    const weir_driver_t* const driver = entry();
    const void* const face = driver->get_extension(WEIR_NULL_CLIENT);
    require(face != nullptr, "it has a client");
    return *static_cast<const weir_null_client_t*>(face);
  }();
  return found;
}

/// The segment's bytes, for one who keeps to no protocol.
class Bytes {
 public:
  explicit Bytes(const std::string& path) {
    const FileDescriptor fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
    struct stat about {};
    require(fd.get() >= 0 && fstat(fd.get(), &about) == 0, "the segment is there");
    size_ = static_cast<std::size_t>(about.st_size);
    void* const at = mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
    require(at != MAP_FAILED, "and can be mapped");
    bytes_ = static_cast<std::atomic<std::uint8_t>*>(at);
  }
  ~Bytes() { munmap(bytes_, size_); }
  Bytes(const Bytes&) = delete;
  Bytes& operator=(const Bytes&) = delete;

  void flip(std::size_t at, unsigned bit) const {
    if (at < size_) bytes_[at].fetch_xor(static_cast<std::uint8_t>(1u << bit));
  }

 private:
  std::atomic<std::uint8_t>* bytes_ = nullptr;
  std::size_t size_ = 0;
};

/// Where a flip goes: a table, and in it the rows that are in use here.
struct Table {
  std::size_t begin, bytes;
  bool says_who_has_what;
};

std::vector<Table> tables() {
  const shm::Geometry geometry;
  const shm::Offsets at = shm::offsets_of(geometry);
  return {
      {0, sizeof(shm::Header), true},
      {at.workers, 2 * sizeof(shm::WorkerRow), true},
      {at.waiters, 4 * sizeof(shm::WaiterRow), false},
      {at.quotas, sizeof(shm::QuotaRow), true},
      {at.pools, 2 * sizeof(shm::PoolRow), true},
      {at.places, 2 * kLimit * sizeof(shm::Word), true},
      {at.permits, kLimit * sizeof(shm::Word), true},
      {at.place_info, 2 * kLimit * sizeof(shm::PlaceInfo), false},
      {at.pool_totals, 2 * sizeof(shm::StatsRow), false},
      {at.stats, 2 * sizeof(shm::StatsRow), false},
      {at.events, 4 * sizeof(shm::EventRow), false},
  };
}

std::string config_in(const std::string& folder, const std::string& server) {
  std::string config = "[runtime]\naliases = false\nplugin_path = [\"" WEIR_PLUGINS
                       "\"]\nfolder = \"" +
                       folder + "\"\n[quota.all]\nlimit = " + std::to_string(kLimit) + "\n";
  for (const char* pool : kPools) {
    config += std::string("[pool.") + pool + "]\ndriver = \"null\"\ndsn = \"null://" + server +
              "?close=delay:1ms@50%\"\nquota = \"all\"\nmax = " + std::to_string(kLimit) +
              "\nconnect_timeout = \"20ms\"\nclose_timeout = \"20ms\"\npermit_quantum = \"0s\"\n"
              "linger_max = \"10ms\"\n";
  }
  return config;
}

/// A runtime on a segment of its own, and what its callers do until they are told to stop.
class Load {
 public:
  Load(const std::string& config, const std::atomic<bool>& hit_who_has_what)
      : hit_who_has_what_(hit_who_has_what) {
    weir_open_options_t options{};
    options.struct_size = sizeof options;
    options.config_text = config.c_str();
    weir_error_t error = WEIR_ERROR_INIT;
    require(weir_open(&options, &runtime_, &error) == WEIR_OK, "it opens", error.message);
    turn(kPools[0]);  // attaches
    for (const char* pool : {kPools[0], kPools[1], kPools[0]}) {
      callers_.emplace_back([this, pool] {
        while (!stop_) turn(pool);
      });
    }
  }
  ~Load() {
    stop_ = true;
    for (std::thread& caller : callers_) caller.join();
    weir_error_t error = WEIR_ERROR_INIT;
    require(weir_close(runtime_, &error) == WEIR_OK, "it closes", error.message);
  }
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;

 private:
  void turn(const char* name) const {
    weir_pool_t* pool = nullptr;
    weir_error_t error = WEIR_ERROR_INIT;
    require(weir_pool(runtime_, name, &pool, &error) == WEIR_OK, "the pool is there",
            error.message);
    weir_acquire_options_t options = WEIR_ACQUIRE_OPTIONS_INIT;
    options.timeout_ns = 5'000'000;
    weir_lease_t lease{};
    const std::int32_t code = weir_acquire(pool, &options, &lease, &error);
    require(std::string(weir_code_name(code)) != "unknown", "an answer is a known code");
    if (code != WEIR_OK) {
      require(error.message[0] != 0, "a refusal says why", weir_code_name(code));
      return;
    }
    const bool has_handle = weir_lease_native(&lease) != nullptr;
    const bool came_back = weir_release(&lease, &error) == WEIR_OK;
    if (hit_who_has_what_) return;  // then two may have been told that it is theirs
    require(has_handle, "a lease has a handle");
    require(came_back, "it is given back", error.message);
  }

  const std::atomic<bool>& hit_who_has_what_;
  weir_runtime_t* runtime_ = nullptr;
  std::atomic<bool> stop_{false};
  std::vector<std::thread> callers_;
};

void flip_some(Input& input, const Bytes& bytes, std::atomic<bool>& hit_who_has_what) {
  static const std::vector<Table> all = tables();
  for (int flips = 0; flips < 24 && !input.is_at_end(); ++flips) {
    const Table& table = all[input.choice(all.size())];
    const std::size_t at = table.begin + input.number<std::uint16_t>() % table.bytes;
    if (table.says_who_has_what) hit_who_has_what = true;  // before it is so
    bytes.flip(at, input.number<std::uint8_t>() % 8u);
    const timespec pause{0, static_cast<long>(input.choice(8)) * 100'000};
    nanosleep(&pause, nullptr);
  }
}

}  // namespace
}  // namespace weir::fuzz

extern "C" int LLVMFuzzerTestOneInput(  // NOLINT(readability-identifier-naming): libFuzzer's name
    const std::uint8_t* data, std::size_t size) {
  using namespace weir::fuzz;
  static const weir::test::TempFolder folder("/dev/shm/weir-fuzz-");
  static unsigned inputs = 0;
  const std::string server = "s" + std::to_string(++inputs);
  const std::string path = (folder.path() / "default.weir").string();
  std::filesystem::remove(path);  // each input begins with a good one
  Input input(data, size);
  std::atomic<bool> hit_who_has_what{false};
  {
    const Load load(config_in(folder.path().string(), server), hit_who_has_what);
    const Bytes bytes(path);
    flip_some(input, bytes, hit_who_has_what);
  }
  weir_null_counts_t counts{};
  counts.struct_size = sizeof counts;
  client().counts(server.c_str(), &counts);
  require(hit_who_has_what || counts.most_sessions <= static_cast<int>(kLimit),
          "the quota holds as the server counts", std::to_string(counts.most_sessions));
  return 0;
}
