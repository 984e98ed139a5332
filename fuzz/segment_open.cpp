// A segment file holds arbitrary bytes, or a good segment in which some were changed. Whatever they
// are: a monitor may look and changes nothing, a worker is refused with a text that names the file,
// or works; nobody crashes, hangs, or replaces a file that is not weir's.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/crc.hpp>
#include <cstddef>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "input.h"
#include "shm/reaper.h"
#include "shm/segment_file.h"
#include "shm/snapshot.h"
#include "support/room_user.h"
#include "support/shm_world.h"

namespace weir::fuzz {
namespace {

using shm::Segment;
using Bytes = std::vector<std::uint8_t>;

Bytes content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void write_file(const std::string& path, const Bytes& bytes) {
  unlink(path.c_str());
  const FileDescriptor fd(::open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600));
  require(::write(fd.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()),
          "the file can be written");
}

/// A segment in use: a worker with places in several states, somebody in line, one who died.
Bytes good_segment(const test::ShmWorld& world) {
  auto worker = world.join("one");
  auto dead = world.join("two");
  const std::uint32_t quota = world.quota(worker->id(), 4);
  shm::PoolDeclaration declaration{.name = "main", .driver = "fake", .quota = quota, .max = 4};
  const shm::PoolRef pool = world.pool(worker->id(), declaration);
  std::optional<shm::Room> held = shm::take_room(pool, worker->id());
  std::optional<shm::Room> idle = shm::take_room(pool, worker->id());
  std::optional<shm::Room> lost = shm::take_room(pool, dead->id());
  require(held && idle && lost, "three rooms of four");
  test::move_place(pool, worker->id(), *held, shm::PlaceState::kUsed);
  test::move_place(pool, worker->id(), *idle, shm::PlaceState::kIdle);
  test::RoomUser user(pool, *worker);
  const std::optional<shm::Waiter> waiter = user.enter(Deadline::after(std::chrono::hours(1)));
  require(waiter.has_value(), "the line has room");
  test::die(dead);
  return content_of(world.segment().path());
}

void look(const shm::SegmentOptions& options, const std::string& path, const Bytes& bytes) {
  auto segment = Segment::open_read_only(options);
  if (segment.ok()) {
    const shm::Snapshot snapshot = shm::take_snapshot(*segment.value());
    for (const shm::PoolSnapshot& pool : snapshot.pools) {
      std::size_t sum = 0;
      for (const std::uint32_t count : pool.count) sum += count;
      require(pool.places.size() <= sum, "each place is counted", pool.name);
    }
    for (const shm::QuotaSnapshot& quota : snapshot.quotas) {
      require(quota.held <= bytes.size() && quota.free <= bytes.size(), "permits are in the file");
    }
  } else {
    const std::string message = segment.status().message();
    require(message.find(path) != std::string::npos, "a refusal names the file", message);
  }
  require(content_of(path) == bytes, "a monitor changes nothing");
}

void use(Segment& segment) {
  auto worker = shm::Membership::join(segment, "fuzz");
  if (!worker.ok()) return;
  const shm::Membership& self = *worker.value();
  auto quota = shm::declare_quota(segment, self.id(), {.name = "shared", .limit = 4});
  shm::PoolDeclaration declaration{.name = "main", .driver = "fake", .max = 4};
  if (quota.ok()) declaration.quota = quota.value().row;
  auto declared = shm::declare_pool(segment, self.id(), declaration);
  if (!declared.ok()) return;
  const std::optional<shm::PoolRef> pool = shm::PoolRef::find(segment, declared.value().row);
  if (!pool) return;
  test::RoomUser user(*pool, self);
  for (int i = 0; i < 3; ++i) {
    if (const std::optional<shm::Room> room = user.acquire(Deadline::after(Nanos(0)))) {
      user.release(*room);
    }
    user.tick();
    shm::reap(segment, self.id());
  }
  (void)shm::take_snapshot(segment);
}

void open_and_use(const shm::SegmentOptions& options, const std::string& path, const Bytes& bytes) {
  auto segment = Segment::open(options);
  if (segment.ok()) return use(*segment.value());
  const std::string message = segment.status().message();
  require(message.find(path) != std::string::npos, "a refusal names the file", message);
  const bool is_ours = bytes.size() >= sizeof shm::kMagic &&
                       std::memcmp(bytes.data(), &shm::kMagic, sizeof shm::kMagic) == 0;
  require(is_ours || content_of(path) == bytes, "a foreign file is left alone");
}

void make_checksum_right(Bytes& bytes) {
  if (bytes.size() < sizeof(shm::HeaderFacts) + 4) return;
  boost::crc_32_type crc;
  crc.process_bytes(bytes.data(), sizeof(shm::HeaderFacts));
  const std::uint32_t sum = crc.checksum();
  std::memcpy(&bytes[sizeof(shm::HeaderFacts)], &sum, sizeof sum);
}

Bytes file_from(Input& input, const Bytes& good) {
  const std::size_t kind = input.choice(3);
  if (kind == 0) {
    const auto rest = input.rest();
    return {rest.begin(), rest.end()};
  }
  Bytes bytes = good;
  while (!input.is_at_end()) {
    const std::size_t at = input.number<std::uint32_t>() % bytes.size();
    const auto patch = input.take(1 + input.choice(16));
    const std::size_t size = std::min(patch.size(), bytes.size() - at);
    std::copy_n(patch.begin(), size, bytes.begin() + static_cast<std::ptrdiff_t>(at));
  }
  if (kind == 2) make_checksum_right(bytes);
  return bytes;
}

}  // namespace
}  // namespace weir::fuzz

extern "C" int LLVMFuzzerTestOneInput(  // NOLINT(readability-identifier-naming): libFuzzer's name
    const std::uint8_t* data, std::size_t size) {
  using namespace weir;
  static const test::ShmWorld source;
  static const fuzz::Bytes good = fuzz::good_segment(source);
  static const test::TempFolder folder("/dev/shm/weir-fuzz-");

  shm::SegmentOptions options;
  options.folder = folder.path().string();
  options.geometry = test::kSmallGeometry;
  options.patience = Nanos(0);
  const std::string path = (folder.path() / "default.weir").string();

  fuzz::Input input(data, size);
  const fuzz::Bytes bytes = fuzz::file_from(input, good);
  fuzz::write_file(path, bytes);
  fuzz::look(options, path, bytes);
  fuzz::open_and_use(options, path, bytes);
  return 0;
}
