#include "shm/segment_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/crc.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <optional>
#include <random>

#include "shm/file_locks.h"

namespace weir::shm {
namespace {

std::uint32_t crc_of(const HeaderFacts& facts) {
  boost::crc_32_type crc;
  crc.process_bytes(&facts, sizeof facts);
  return crc.checksum();
}

std::string boot_id() {
  std::array<char, sizeof HeaderFacts{}.boot_id> text{};
  const FileDescriptor fd(::open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC));
  const ssize_t size = fd.get() < 0 ? 0 : ::read(fd.get(), text.data(), text.size() - 1);
  std::string id(text.data(), size > 0 ? static_cast<std::size_t>(size) : 0);
  while (!id.empty() && id.back() == '\n') id.pop_back();
  return id;
}

HeaderFacts facts_for(const Geometry& geometry) {
  static_assert(std::has_unique_object_representations_v<HeaderFacts>, "the CRC covers every byte");
  HeaderFacts facts{};
  facts.magic = kMagic;
  facts.abi_major = kAbiMajor;
  facts.abi_minor = kAbiMinor;
  facts.header_bytes = kHeaderBytes;
  facts.fingerprint = layout_fingerprint();
  facts.total_bytes = offsets_of(geometry).end;
  facts.geometry = geometry;
  const std::string boot = boot_id();
  std::memcpy(facts.boot_id, boot.data(), std::min(boot.size(), sizeof facts.boot_id - 1));
  std::random_device random;
  for (std::uint8_t& byte : facts.uuid) byte = static_cast<std::uint8_t>(random());
  facts.creator_pid = getpid();
  facts.creator_uid = geteuid();
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  facts.created_unix_ns = static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000u +
                          static_cast<std::uint64_t>(now.tv_nsec);
  return facts;
}

// What a look at a file's header found.
enum class Verdict {
  kGood,
  kPoisoned,     // whole, but taken out of service: to be looked at, else as kRebuildable
  kRebuildable,  // once a segment of ours, of no use now: may be replaced when nobody is attached
  kForeign,      // not ours to replace
};

struct Look {
  Verdict verdict = Verdict::kForeign;
  Geometry geometry;
  Status status;  // why it is not good
};

Look refuse(Verdict verdict, Code code, const std::string& path, const std::string& what) {
  return {verdict, {}, Status(code, "segment " + path + ": " + what)};
}

// Reads by pread before anything is mapped: a file that shrinks must not become a SIGBUS.
Look look_at(int fd, const std::string& path) {
  struct stat st {};
  if (fstat(fd, &st) != 0) {
    return {Verdict::kForeign, {}, Status::system_error("segment " + path + ": fstat", errno)};
  }
  struct {
    HeaderFacts facts;
    std::uint32_t crc;
  } found;
  static_assert(offsetof(Header, crc) == sizeof(HeaderFacts));
  const ssize_t got = pread(fd, &found, sizeof(HeaderFacts) + sizeof(std::uint32_t), 0);
  const HeaderFacts& facts = found.facts;
  if (got < static_cast<ssize_t>(sizeof facts.magic) || facts.magic != kMagic) {
    return refuse(
        Verdict::kForeign, Code::kShmIncompatible, path,
        "not a weir segment (its first 8 bytes are not weir's); remove the file if nothing "
        "else owns it");
  }
  if (got < static_cast<ssize_t>(sizeof(HeaderFacts) + sizeof(std::uint32_t))) {
    return refuse(Verdict::kRebuildable, Code::kShmCorrupt, path,
                  "cut off inside its header at " + std::to_string(st.st_size) + " bytes");
  }
  if (found.crc != crc_of(facts)) {
    return refuse(Verdict::kRebuildable, Code::kShmCorrupt, path, "its header's checksum is wrong");
  }
  if (boot_id() != std::string(facts.boot_id, strnlen(facts.boot_id, sizeof facts.boot_id))) {
    return refuse(Verdict::kRebuildable, Code::kShmCorrupt, path, "left from an earlier boot");
  }
  if (facts.abi_major != kAbiMajor || facts.fingerprint != layout_fingerprint() ||
      facts.header_bytes != kHeaderBytes) {
    return refuse(Verdict::kRebuildable, Code::kShmIncompatible, path,
                  "layout " + std::to_string(facts.abi_major) + "." +
                      std::to_string(facts.abi_minor) + " (fingerprint " +
                      std::to_string(facts.fingerprint) + ") found, " + std::to_string(kAbiMajor) +
                      "." + std::to_string(kAbiMinor) + " (fingerprint " +
                      std::to_string(layout_fingerprint()) + ") expected");
  }
  if (!is_possible(facts.geometry) || facts.total_bytes != offsets_of(facts.geometry).end ||
      static_cast<std::uint64_t>(st.st_size) != facts.total_bytes) {
    return refuse(Verdict::kRebuildable, Code::kShmCorrupt, path,
                  std::to_string(st.st_size) + " bytes found, " +
                      std::to_string(facts.total_bytes) + " expected by its header");
  }
  struct {
    std::uint32_t ready, poisoned;
  } state{};
  static_assert(offsetof(Header, poisoned) == offsetof(Header, ready) + 4);
  if (pread(fd, &state, sizeof state, offsetof(Header, ready)) != ssize_t{sizeof state} ||
      state.ready != 1) {
    return refuse(Verdict::kRebuildable, Code::kShmCorrupt, path, "never finished");
  }
  if (state.poisoned != 0) {
    std::array<char, sizeof(Text<192>)> reason{};
    if (pread(fd, reason.data(), reason.size() - 1, offsetof(Header, poison_reason)) < 0)
      reason[0] = 0;
    Look look =
        refuse(Verdict::kPoisoned, Code::kShmCorrupt, path,
               std::string("taken out of service (") + reason.data() +
                   "); stop every worker that uses it, the next one to start makes a new one");
    look.geometry = facts.geometry;
    return look;
  }
  return {Verdict::kGood, facts.geometry, Status()};
}

// A folder of root's, writable by its group and handing that group on to what is made in it:
// whoever is in the group was let in by root, and its members trust each other.
bool is_shared_by_group(const struct stat& folder) {
  constexpr mode_t kGroupWritesAndPassesOn = S_ISGID | S_IWGRP;
  return folder.st_uid == 0 &&
         (folder.st_mode & kGroupWritesAndPassesOn) == kGroupWritesAndPassesOn;
}

bool stat_folder_of(const std::string& path, struct stat& folder) {
  return lstat(path.substr(0, path.rfind('/') + 1).c_str(), &folder) == 0;
}

// Owner, mode and links: a file that somebody else could have put there or can write to is refused.
Status check_file(const struct stat& st, const std::string& path) {
  const auto no = [&](const std::string& what) {
    return Status(Code::kNoPermission, "segment " + path + ": refused: " + what);
  };
  if (!S_ISREG(st.st_mode)) return no("not a regular file");
  if (st.st_nlink != 1) return no(std::to_string(st.st_nlink) + " hard links found, 1 expected");
  struct stat folder {};
  const bool by_a_member =
      stat_folder_of(path, folder) && is_shared_by_group(folder) && st.st_gid == folder.st_gid;
  if (st.st_uid != geteuid() && st.st_uid != 0 && !by_a_member) {
    return no("owned by user " + std::to_string(st.st_uid) + ", expected " +
              std::to_string(geteuid()) + " or root, or a group folder of root's");
  }
  if ((st.st_mode & S_IWOTH) != 0) return no("writable by everybody");
  return Status();
}

bool is_file_at(const std::string& path, int fd) {
  struct stat by_path {
  }, by_fd{};
  return stat(path.c_str(), &by_path) == 0 && fstat(fd, &by_fd) == 0 &&
         by_path.st_dev == by_fd.st_dev && by_path.st_ino == by_fd.st_ino;
}

// Makes a whole segment under a name of its own, then gives it `path`: nobody ever sees half a
// file, and of several creators one wins. Ok as well when somebody else won.
Status create(const std::string& path, const Geometry& geometry) {
  const std::string temporary =
      path + ".new." + std::to_string(getpid()) + "." + std::to_string(monotonic_ns());
  const FileDescriptor fd(
      ::open(temporary.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0660));
  if (fd.get() < 0) return Status::system_error("segment " + path + ": create", errno);
  const auto give_up = [&](const char* what, int error) {
    unlink(temporary.c_str());
    return Status::system_error("segment " + path + ": " + what, error);
  };
  // In a group's folder the others must be able to write, whatever this process's umask says.
  struct stat folder {};
  if (stat_folder_of(path, folder) && is_shared_by_group(folder) && fchmod(fd.get(), 0660) != 0) {
    return give_up("chmod", errno);
  }
  const HeaderFacts facts = facts_for(geometry);
  // Room now or an error now: a hole in /dev/shm becomes a SIGBUS later.
  if (const int error = posix_fallocate(fd.get(), 0, static_cast<off_t>(facts.total_bytes))) {
    return give_up(("needs " + std::to_string(facts.total_bytes) + " bytes").c_str(), error);
  }
  const std::uint32_t crc = crc_of(facts);
  const std::uint32_t ready = 1;
  if (pwrite(fd.get(), &facts, sizeof facts, 0) != ssize_t{sizeof facts} ||
      pwrite(fd.get(), &crc, sizeof crc, offsetof(Header, crc)) != ssize_t{sizeof crc} ||
      pwrite(fd.get(), &ready, sizeof ready, offsetof(Header, ready)) != ssize_t{sizeof ready}) {
    return give_up("write", errno);
  }
  // One step, not link and unlink: a creator killed between the two would leave a segment with two
  // names, which everybody refuses.
  if (renameat2(AT_FDCWD, temporary.c_str(), AT_FDCWD, path.c_str(), RENAME_NOREPLACE) == 0) {
    return Status();
  }
  if (errno != EEXIST) return give_up("rename", errno);
  unlink(temporary.c_str());
  return Status();
}

Status open_failed(const std::string& path, int error) {
  if (error == ENOENT) {
    return Status(Code::kNotFound,
                  "segment " + path + ": there is none; no worker has used it yet");
  }
  if (error == ELOOP) {
    return Status(Code::kNoPermission, "segment " + path + ": refused: a symbolic link");
  }
  if (error == EACCES || error == EPERM) {
    return Status(Code::kNoPermission, "segment " + path + ": no permission to open it");
  }
  return Status::system_error("segment " + path + ": open", error);
}

// 1. whose it is, before anything in it is believed. One look, for it may be replaced at any time:
// false if it just was.
// 2. through the gate: while it is held shared nobody replaces the file.
Result<bool> pass_the_gate(int fd, const std::string& path, Deadline deadline) {
  struct stat st {};
  if (fstat(fd, &st) != 0) return Status::system_error("segment " + path + ": fstat", errno);
  if (st.st_nlink == 0) return false;
  WEIR_TRY(check_file(st, path));
  if (!lock_byte_until(fd, kGateByte, LockKind::kShared, deadline)) {
    return Status(Code::kTimeout, "segment " + path + ": somebody has been rebuilding it too long");
  }
  return true;
}

}  // namespace

bool is_shared_by_group(const std::string& path) {
  struct stat folder {
  }, st{};
  return stat_folder_of(path, folder) && is_shared_by_group(folder) &&
         lstat(path.c_str(), &st) == 0 && st.st_gid == folder.st_gid;
}

Status prepare_folder(const std::string& folder) {
  if (mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) {
    return Status::system_error("folder " + folder + ": mkdir", errno);
  }
  struct stat st {};
  if (lstat(folder.c_str(), &st) != 0) {
    return Status::system_error("folder " + folder + ": stat", errno);
  }
  const auto no = [&](const std::string& what) {
    return Status(Code::kNoPermission, "folder " + folder + ": refused: " + what);
  };
  if (!S_ISDIR(st.st_mode)) return no("not a folder");
  if (st.st_uid != geteuid() && st.st_uid != 0) {
    return no("owned by user " + std::to_string(st.st_uid) + ", expected " +
              std::to_string(geteuid()) + " or root");
  }
  if ((st.st_mode & S_IWOTH) != 0) return no("writable by everybody");
  return Status();
}

Result<CheckedFile> open_or_create(const std::string& path, const Geometry& geometry,
                                   Deadline deadline) {
  if (!is_possible(geometry)) {
    return Status(Code::kBadConfig, "segment " + path + ": a geometry outside what words can name");
  }
  while (true) {
    FileDescriptor fd(::open(path.c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC));
    if (fd.get() < 0) {
      if (errno != ENOENT) return open_failed(path, errno);
      WEIR_TRY(create(path, geometry));
      continue;
    }
    const Result<bool> passed = pass_the_gate(fd.get(), path, deadline);
    if (!passed.ok()) return passed.status();
    if (!passed.value()) continue;
    const Look look = look_at(fd.get(), path);
    if (look.verdict == Verdict::kGood) {
      // 3. it may have been replaced between open and gate.
      if (!is_file_at(path, fd.get())) continue;
      return CheckedFile{std::move(fd), look.geometry};
    }
    if (look.verdict == Verdict::kForeign) return look.status;
    // 4. ours, but of no use: replace it if nobody is attached, which the whole gate proves.
    if (!try_lock_byte(fd.get(), kGateByte, LockKind::kExclusive)) {
      if (!deadline.passed(monotonic_ns())) {
        unlock_byte(fd.get(), kGateByte);  // two who both hold it shared would wait for each other
        const timespec millisecond{0, 1'000'000};
        nanosleep(&millisecond, nullptr);
        continue;
      }
      return Status(look.status.code(),
                    look.status.message() + "; workers still use it: stop them first");
    }
    if (is_file_at(path, fd.get())) unlink(path.c_str());
  }
}

Result<CheckedFile> open_existing(const std::string& path, Deadline deadline) {
  while (true) {
    FileDescriptor fd(::open(path.c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
    if (fd.get() < 0) return open_failed(path, errno);
    const Result<bool> passed = pass_the_gate(fd.get(), path, deadline);
    if (!passed.ok()) return passed.status();
    if (!passed.value()) continue;
    const Look look = look_at(fd.get(), path);
    if (look.verdict != Verdict::kGood) return look.status;
    if (is_file_at(path, fd.get())) return CheckedFile{std::move(fd), look.geometry};
  }
}

Result<CheckedFile> open_existing_read_only(const std::string& path) {
  // Non-blocking: a FIFO of that name would have us wait for a writer.
  FileDescriptor fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
  if (fd.get() < 0) return open_failed(path, errno);
  const Look look = look_at(fd.get(), path);
  // A poisoned segment is what a monitor is for: everything else that is wrong is refused.
  if (look.verdict != Verdict::kGood && look.verdict != Verdict::kPoisoned) return look.status;
  return CheckedFile{std::move(fd), look.geometry};
}

}  // namespace weir::shm
