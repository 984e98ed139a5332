#include "shm/segment.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/interprocess/exceptions.hpp>
#include <boost/interprocess/file_mapping.hpp>
#include <cerrno>

#include "shm/segment_file.h"

namespace weir::shm {
namespace {

bool is_segment_name(const std::string& name) {
  const auto good = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  };
  return !name.empty() && name.size() <= 31 && name[0] != '-' && name[0] != '_' &&
         std::all_of(name.begin(), name.end(), good);
}

Result<std::string> path_of(const SegmentOptions& options) {
  if (!is_segment_name(options.name)) {
    return Status(Code::kBadConfig, "segment name \"" + options.name +
                                        "\": expected [a-z0-9][a-z0-9_-]*, at most 31 bytes");
  }
  const std::string folder = options.folder.empty() ? default_folder() : options.folder;
  return folder + "/" + options.name + ".weir";
}

// Boost opens the file anew by its /proc name, so that exactly the checked file is mapped; its own
// handle lacks CLOEXEC and goes as soon as the mapping stands.
Result<boost::interprocess::mapped_region> map(int fd, const std::string& path,
                                               boost::interprocess::mode_t mode) {
  using namespace boost::interprocess;
  try {
    const file_mapping file(("/proc/self/fd/" + std::to_string(fd)).c_str(), mode);
    return mapped_region(file, mode);
  } catch (const interprocess_exception& error) {
    return Status(Code::kSystemError, "segment " + path + ": map: " + error.what());
  }
}

}  // namespace

std::string default_folder() {
  struct stat st {};
  if (stat("/run/weir", &st) == 0 && S_ISDIR(st.st_mode) && access("/run/weir", W_OK) == 0) {
    return "/run/weir";
  }
  return "/dev/shm/weir-" + std::to_string(geteuid());
}

Segment::Segment(std::string path, int fd, const Geometry& geometry,
                 boost::interprocess::mapped_region region)
    : path_(std::move(path)),
      fd_(fd),
      geometry_(geometry),
      offsets_(offsets_of(geometry)),
      region_(std::move(region)) {
  struct stat st {};
  if (fstat(fd, &st) == 0) {
    device_ = st.st_dev;
    inode_ = st.st_ino;
  }
}

Segment::~Segment() { close_descriptor(); }

void Segment::close_descriptor() {
  // The number may have become somebody else's file (closefrom, then open).
  const int was = fd_.exchange(-1);
  if (is_segment(was)) close(was);
}

// Not the region's advise(): that is posix_madvise(), whose DONTNEED does nothing in glibc. Of a
// shared mapping it costs no data (madvise(2)), and its failing would cost nothing but memory.
void Segment::drop_pages() {
  static_cast<void>(madvise(region_.get_address(), region_.get_size(), MADV_DONTNEED));
}

Result<std::unique_ptr<Segment>> Segment::open(const SegmentOptions& options) {
  Result<std::string> path = path_of(options);
  if (!path.ok()) return path.status();
  WEIR_TRY(prepare_folder(options.folder.empty() ? default_folder() : options.folder));
  Result<CheckedFile> file =
      open_or_create(path.value(), options.geometry, Deadline::after(options.patience));
  if (!file.ok()) return file.status();
  auto region = map(file.value().fd.get(), path.value(), boost::interprocess::read_write);
  if (!region.ok()) return region.status();
  return std::unique_ptr<Segment>(new Segment(path.value(), file.value().fd.release(),
                                              file.value().geometry, std::move(region).value()));
}

Result<std::unique_ptr<Segment>> Segment::open_existing(const SegmentOptions& options) {
  Result<std::string> path = path_of(options);
  if (!path.ok()) return path.status();
  Result<CheckedFile> file = shm::open_existing(path.value(), Deadline::after(options.patience));
  if (!file.ok()) return file.status();
  auto region = map(file.value().fd.get(), path.value(), boost::interprocess::read_write);
  if (!region.ok()) return region.status();
  return std::unique_ptr<Segment>(new Segment(path.value(), file.value().fd.release(),
                                              file.value().geometry, std::move(region).value()));
}

Result<std::unique_ptr<Segment>> Segment::open_read_only(const SegmentOptions& options) {
  Result<std::string> path = path_of(options);
  if (!path.ok()) return path.status();
  Result<CheckedFile> file = open_existing_read_only(path.value());
  if (!file.ok()) return file.status();
  auto region = map(file.value().fd.get(), path.value(), boost::interprocess::read_only);
  if (!region.ok()) return region.status();
  return std::unique_ptr<Segment>(new Segment(path.value(), file.value().fd.release(),
                                              file.value().geometry, std::move(region).value()));
}

bool Segment::is_segment(int fd) const {
  struct stat st {};
  return fd >= 0 && fstat(fd, &st) == 0 && st.st_dev == device_ && st.st_ino == inode_;
}

bool Segment::make_intact() {
  int was = fd();
  if (is_segment(was)) return true;
  FileDescriptor opened(::open(path_.c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC));
  if (!is_segment(opened.get())) return false;
  // The old number is not ours any more, and stays open. One of several who come here at once wins.
  if (!fd_.compare_exchange_strong(was, opened.get())) return is_intact();
  static_cast<void>(opened.release());
  return true;
}

int Segment::reopen() const {
  // By descriptor, whatever has become of the name; by name if the descriptor is another file now.
  const std::string name = is_intact() ? "/proc/self/fd/" + std::to_string(fd()) : path_;
  FileDescriptor opened(::open(name.c_str(), O_RDWR | O_CLOEXEC));
  if (opened.get() < 0) return -1;
  if (!is_segment(opened.get())) {
    errno = ESTALE;
    return -1;
  }
  return opened.release();
}

void Segment::poison(std::string_view reason) const {
  Header& head = header();
  std::uint32_t healthy = 0;
  if (head.poisoned.compare_exchange_strong(healthy, 1)) head.poison_reason.store(reason);
}

Status Segment::usable() const {
  if (!is_poisoned()) return Status();
  return Status(Code::kShmCorrupt,
                "segment " + path_ + ": taken out of service (" + header().poison_reason.load() +
                    "); leases go on, nothing new is opened; stop every worker that uses it, the "
                    "next one to start makes a new one");
}

}  // namespace weir::shm
