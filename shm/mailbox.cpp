#include "shm/mailbox.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <vector>

#include "base/clock.h"
#include "shm/segment_file.h"

namespace weir::shm {
namespace {

constexpr std::uint32_t kLetterMagic = 0x32304c57;  // "WL02": another layout, another number
constexpr std::size_t kDriverBytes = 16;

// What a letter begins with; the blob follows. The machine's byte order: it never leaves it.
struct Head {
  std::uint32_t magic;
  std::uint32_t place;
  std::uint32_t occ;
  std::uint32_t blob_bytes;
  std::uint64_t fingerprint;
  std::uint64_t began_ns;
  std::array<char, kDriverBytes> driver;
};
static_assert(sizeof(Head) == 48);
constexpr std::size_t kMaxLetter = sizeof(Head) + kMaxSessionBytes;

// Room for more descriptors than the one there may be, so that what is too many is seen and closed.
constexpr std::size_t kMostDescriptors = 4;
union Control {
  cmsghdr align;
  std::array<char, CMSG_SPACE(sizeof(ucred)) + CMSG_SPACE(kMostDescriptors * sizeof(int))> bytes;
};

std::string name_of(WorkerId id) { return std::to_string(id.row) + "." + std::to_string(id.gen); }

// The address of `name` in the folder: by its path if that fits, else by way of the folder's
// descriptor, whose name in /proc is short.
bool fill_address(sockaddr_un& address, const std::string& folder, int folder_fd,
                  const std::string& name) {
  address = {};
  address.sun_family = AF_UNIX;
  std::string path = folder + "/" + name;
  if (path.size() >= sizeof address.sun_path) {
    path = "/proc/self/fd/" + std::to_string(folder_fd) + "/" + name;
  }
  if (path.size() >= sizeof address.sun_path) return false;
  path.copy(address.sun_path, path.size());
  return true;
}

// Made whole under a name of its own, as the segment is: nobody finds it with a mode that keeps
// him out.
Status make_folder(const std::string& folder, bool for_group) {
  struct stat st {};
  if (lstat(folder.c_str(), &st) == 0) return Status();
  const std::string temporary =
      folder + ".new." + std::to_string(getpid()) + "." + std::to_string(monotonic_ns());
  if (mkdir(temporary.c_str(), 0700) != 0) {
    return Status::system_error("mailboxes " + folder + ": mkdir", errno);
  }
  if (for_group && chmod(temporary.c_str(), 02770) != 0) {
    const int error = errno;
    rmdir(temporary.c_str());
    return Status::system_error("mailboxes " + folder + ": chmod", error);
  }
  if (renameat2(AT_FDCWD, temporary.c_str(), AT_FDCWD, folder.c_str(), RENAME_NOREPLACE) != 0) {
    const int error = errno;
    rmdir(temporary.c_str());
    if (error != EEXIST) return Status::system_error("mailboxes " + folder + ": rename", error);
  }
  return Status();
}

// Whose it is: connections go through what lies in it.
Status check_folder(int fd, const std::string& folder, bool for_group) {
  const auto no = [&](const std::string& what) {
    return Status(Code::kNoPermission, "mailboxes " + folder + ": refused: " + what);
  };
  struct stat st {};
  if (fstat(fd, &st) != 0) return Status::system_error("mailboxes " + folder + ": stat", errno);
  if (!S_ISDIR(st.st_mode)) return no("not a folder");
  if (st.st_uid != geteuid() && st.st_uid != 0 && !for_group) {
    return no("owned by user " + std::to_string(st.st_uid) + ", expected " +
              std::to_string(geteuid()) + " or root");
  }
  if ((st.st_mode & S_IWOTH) != 0) return no("writable by everybody");
  return Status();
}

// What earlier owners of the row left, whose reapers died before they could remove it.
void remove_leftovers(int folder_fd, std::uint32_t row) {
  const int listed = openat(folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* const folder = listed < 0 ? nullptr : fdopendir(listed);
  if (folder == nullptr) {
    if (listed >= 0) ::close(listed);
    return;
  }
  const std::string mine = std::to_string(row) + ".";
  // Nobody else reads this stream.
  while (const dirent* entry = readdir(folder)) {  // NOLINT(concurrency-mt-unsafe)
    const std::string name(entry->d_name);
    if (name.compare(0, mine.size(), mine) == 0) unlinkat(folder_fd, name.c_str(), 0);
  }
  closedir(folder);
}

std::uint64_t inode_of(int fd) {
  struct stat st {};
  return fd >= 0 && fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode) ? st.st_ino : 0;
}

// What came along with a message.
struct Enclosed {
  std::optional<ucred> sender;
  std::vector<FileDescriptor> descriptors;
};

Enclosed open_control(msghdr& message) {
  Enclosed enclosed;
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr;
       part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET) continue;
    if (part->cmsg_type == SCM_CREDENTIALS && part->cmsg_len == CMSG_LEN(sizeof(ucred))) {
      ucred sender{};
      std::memcpy(&sender, CMSG_DATA(part), sizeof sender);
      enclosed.sender = sender;
    }
    if (part->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
      enclosed.descriptors.emplace_back(fd);
    }
  }
  return enclosed;
}

}  // namespace

std::string encode(const Letter& letter) {
  WEIR_CHECK(letter.session.driver.size() < kDriverBytes &&
             letter.session.blob.size() <= kMaxSessionBytes);
  Head head{};
  head.magic = kLetterMagic;
  head.place = letter.place;
  head.occ = letter.occ;
  head.fingerprint = letter.fingerprint;
  head.began_ns = letter.began_ns;
  letter.session.driver.copy(head.driver.data(), kDriverBytes - 1);
  head.blob_bytes = static_cast<std::uint32_t>(letter.session.blob.size());
  std::string bytes(sizeof head, 0);
  std::memcpy(bytes.data(), &head, sizeof head);
  return bytes += letter.session.blob;
}

std::optional<Letter> decode(std::string_view bytes) {
  Head head{};
  if (bytes.size() < sizeof head || bytes.size() > kMaxLetter) return std::nullopt;
  std::memcpy(&head, bytes.data(), sizeof head);
  const std::size_t driver_bytes = strnlen(head.driver.data(), kDriverBytes);
  const bool padded_with_zeros =
      std::all_of(head.driver.begin() + static_cast<std::ptrdiff_t>(driver_bytes),
                  head.driver.end(), [](char c) { return c == 0; });
  if (head.magic != kLetterMagic || driver_bytes == kDriverBytes || !padded_with_zeros ||
      head.blob_bytes != bytes.size() - sizeof head) {
    return std::nullopt;
  }
  Letter letter;
  letter.place = head.place;
  letter.occ = head.occ;
  letter.fingerprint = head.fingerprint;
  letter.began_ns = head.began_ns;
  letter.session.driver.assign(head.driver.data(), driver_bytes);
  letter.session.blob = bytes.substr(sizeof head);
  return letter;
}

std::string_view sent_name(Sent sent) {
  switch (sent) {
    case Sent::kSent:
      return "sent";
    case Sent::kFull:
      return "full";
    case Sent::kGone:
      return "gone";
    case Sent::kRefused:
      return "refused";
  }
  return "impossible";
}

std::string mailbox_folder(const Segment& segment) {
  const std::string& path = segment.path();
  return path.substr(0, path.rfind('.')) + ".mbox";
}

void unlink_mailbox(const Segment& segment, WorkerId id) {
  unlink((mailbox_folder(segment) + "/" + name_of(id)).c_str());
}

Mailbox::Mailbox(std::string folder, WorkerId self, FileDescriptor folder_fd, FileDescriptor socket)
    : folder_(std::move(folder)),
      self_(self),
      folder_fd_(std::move(folder_fd)),
      socket_(std::move(socket)),
      socket_inode_(inode_of(socket_.get())),
      owner_pid_(getpid()) {}

Result<std::unique_ptr<Mailbox>> Mailbox::open(const Segment& segment, WorkerId self) {
  const std::string folder = mailbox_folder(segment);
  const std::string name = name_of(self);
  const auto failed = [&](const char* what, int error) {
    return Status::system_error("mailbox " + folder + "/" + name + ": " + what, error);
  };
  // 1. the folder: private, or of the group that may write the segment.
  const bool for_group = is_shared_by_group(segment.path());
  WEIR_TRY(make_folder(folder, for_group));
  FileDescriptor folder_fd(::open(folder.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (folder_fd.get() < 0) return failed("open its folder", errno);
  WEIR_TRY(check_folder(folder_fd.get(), folder, for_group));
  remove_leftovers(folder_fd.get(), self.row);

  // 2. the socket, with credentials from the first message on, and the segment's mode. bind() takes
  // the mode of the socket less the umask: never more, and set right afterwards.
  FileDescriptor socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (socket.get() < 0) return failed("socket", errno);
  struct stat st {};
  if (fstat(segment.fd(), &st) != 0) return failed("stat the segment", errno);
  const mode_t mode = (st.st_mode & 0660) | 0600;
  const int yes = 1;
  if (setsockopt(socket.get(), SOL_SOCKET, SO_PASSCRED, &yes, sizeof yes) != 0 ||
      fchmod(socket.get(), mode) != 0) {
    return failed("prepare", errno);
  }
  sockaddr_un address{};
  if (!fill_address(address, folder, folder_fd.get(), name)) return failed("bind", ENAMETOOLONG);
  if (bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return failed("bind", errno);
  }
  auto mailbox =
      std::unique_ptr<Mailbox>(new Mailbox(folder, self, std::move(folder_fd), std::move(socket)));
  mailbox->group_may_send_ = for_group && (mode & S_IWGRP) != 0;
  if (fchmodat(mailbox->folder_fd_.get(), name.c_str(), mode, 0) != 0) {
    return failed("chmod", errno);
  }
  return mailbox;
}

Mailbox::~Mailbox() { close(); }

void Mailbox::close() {
  stop();
  // After a closefrom() the number may be another file's.
  if (is_ours()) ::close(socket_.get());
  static_cast<void>(socket_.release());
}

bool Mailbox::is_inherited() const { return getpid() != owner_pid_; }

bool Mailbox::is_ours() const {
  return socket_inode_ != 0 && inode_of(socket_.get()) == socket_inode_;
}

void Mailbox::stop() {
  // Not in a child: the name is its parent's.
  if (!std::exchange(named_, false) || is_inherited()) return;
  unlink((folder_ + "/" + name_of(self_)).c_str());
}

void Mailbox::close_in_child() {
  named_ = false;
  if (is_ours()) ::close(socket_.get());
  static_cast<void>(socket_.release());
  struct stat st {};
  if (fstat(folder_fd_.get(), &st) == 0 && S_ISDIR(st.st_mode)) ::close(folder_fd_.get());
  static_cast<void>(folder_fd_.release());
}

Sent Mailbox::send(WorkerId to, const Letter& letter, int fd) const {
  sockaddr_un address{};
  if (!is_ours() || !fill_address(address, folder_, folder_fd_.get(), name_of(to))) {
    return Sent::kRefused;
  }
  std::string bytes = encode(letter);
  iovec part{bytes.data(), bytes.size()};
  Control control{};
  msghdr message{};
  message.msg_name = &address;
  message.msg_namelen = sizeof address;
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes.data();
  message.msg_controllen = CMSG_SPACE(sizeof(ucred)) + CMSG_SPACE(sizeof fd);

  // As whom we may write the segment; unsaid, the kernel would name the real user.
  const ucred who{getpid(), geteuid(), getegid()};
  cmsghdr* const credentials = CMSG_FIRSTHDR(&message);
  credentials->cmsg_level = SOL_SOCKET;
  credentials->cmsg_type = SCM_CREDENTIALS;
  credentials->cmsg_len = CMSG_LEN(sizeof who);
  std::memcpy(CMSG_DATA(credentials), &who, sizeof who);
  cmsghdr* const rights = CMSG_NXTHDR(&message, credentials);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(sizeof fd);
  std::memcpy(CMSG_DATA(rights), &fd, sizeof fd);

  ssize_t sent = -1;
  do {
    sent = sendmsg(socket_.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  if (sent >= 0) return Sent::kSent;
  switch (errno) {
    case EAGAIN:
    case ENOBUFS:
      return Sent::kFull;
    case ENOENT:
    case ECONNREFUSED:
    case ENOTDIR:
    case ECONNRESET:
      return Sent::kGone;
    default:
      return Sent::kRefused;
  }
}

// The kernel has let nobody send who may not write to the socket; its mode is the segment's.
bool Mailbox::may_send(std::uint32_t uid) const {
  return uid == geteuid() || uid == 0 || group_may_send_;
}

Mailbox::Next Mailbox::receive(Received& received) {
  if (!is_ours()) return Next::kEmpty;  // and what was in it is gone
  std::array<char, kMaxLetter + 1> bytes;
  Control control{};
  iovec part{bytes.data(), bytes.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes.data();
  message.msg_controllen = control.bytes.size();
  ssize_t size = -1;
  do {
    size = recvmsg(socket_.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  } while (size < 0 && errno == EINTR);
  if (size < 0) return Next::kEmpty;

  // Whatever is refused below closes what came with it.
  Enclosed enclosed = open_control(message);
  const bool whole = (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0;
  if (!whole || !enclosed.sender || !may_send(enclosed.sender->uid) ||
      enclosed.descriptors.size() != 1) {
    return Next::kRefused;
  }
  std::optional<Letter> letter =
      decode(std::string_view(bytes.data(), static_cast<std::size_t>(size)));
  if (!letter) return Next::kRefused;
  received.letter = *std::move(letter);
  received.fd = std::move(enclosed.descriptors.front());
  return Next::kLetter;
}

}  // namespace weir::shm
