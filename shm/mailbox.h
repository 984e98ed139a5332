// Mailbox: where a worker receives connections of others: a datagram socket at
// <folder>/<segment>.mbox/<row>.<gen>.
//
// A letter is one datagram: which place, which occupation of it, how its driver describes the
// session, and the connection's descriptor. Whatever comes in is untrusted; what it means, the
// place's word says (handover.h). Who may send: whom the socket's mode lets (it is the segment's),
// and of these this worker's user, root, and, in a group's folder of root's, anybody the group let
// in. Nothing here waits. Threads: send() from any; receive() from one at a time. Fork: a child
// calls close_in_child(), or the parent's death would go unnoticed by who sends.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/file_descriptor.h"
#include "base/status.h"
#include "shm/segment.h"
#include "shm/words.h"

namespace weir::shm {

inline constexpr std::size_t kMaxSessionBytes = 4096;

/// A session as a driver describes it, for the same driver in another process.
struct SessionText {
  std::string driver;  // as the pool's row names it: at most 15 bytes
  std::string blob;    // at most kMaxSessionBytes; names its own version
};

/// What goes with a descriptor.
struct Letter {
  std::uint32_t place = 0;  // among all places of the segment
  std::uint32_t occ = 0;
  std::uint64_t fingerprint = 0;  // of the pool: driver and DSN
  std::uint64_t began_ns = 0;     // when the handover began; CLOCK_MONOTONIC of this machine
  SessionText session;
};

/// As it goes over the wire. REQUIRES: the session's texts are no longer than they may be.
[[nodiscard]] std::string encode(const Letter& letter);
/// nullopt for anything that encode() does not write.
[[nodiscard]] std::optional<Letter> decode(std::string_view bytes);

enum class Sent {
  kSent,     // the receiver's mailbox holds a copy of the descriptor
  kFull,     // it holds all it can
  kGone,     // there is no such mailbox (any more), or nobody behind it
  kRefused,  // the system's word: permission, too many descriptors on their way, no memory
};
/// "sent", "full", "gone", "refused".
[[nodiscard]] std::string_view sent_name(Sent sent);

/// A good letter with the one descriptor that came with it.
struct Received {
  Letter letter;
  FileDescriptor fd;
};

class Mailbox {
 public:
  /// Opens the mailbox of `self`, making the folder if need be, and removes what earlier owners of
  /// the row left. Fails where the file system does not allow sockets, or the folder is not ours to
  /// use: such a worker lends and waits as ever, and nobody can send to it. REQUIRES: `self` is
  /// joined. File system calls.
  static Result<std::unique_ptr<Mailbox>> open(const Segment& segment, WorkerId self);
  /// stop()s, and closes what is still in it. In a child of the process that opened it: after
  /// close_in_child().
  ~Mailbox();
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  /// Sends a copy of `fd` to worker `to`. Never waits.
  [[nodiscard]] Sent send(WorkerId to, const Letter& letter, int fd) const;

  enum class Next { kLetter, kRefused, kEmpty };
  /// The next one in it. kRefused: it was not for us to read (credentials, size, shape, number of
  /// descriptors); what came with it is closed. Never waits.
  [[nodiscard]] Next receive(Received& received);

  /// Takes the name away: from now on senders find it gone. What is in it can still be received.
  void stop();
  /// stop()s and closes it: what was in it is gone. REQUIRES: nobody sends or receives.
  void close();
  /// In a forked child. Async-signal-safe.
  void close_in_child();
  /// Whether this process is a child of the one that opened it.
  [[nodiscard]] bool is_inherited() const;

 private:
  Mailbox(std::string folder, WorkerId self, FileDescriptor folder_fd, FileDescriptor socket);
  [[nodiscard]] bool is_ours() const;
  [[nodiscard]] bool may_send(std::uint32_t uid) const;

  const std::string folder_;
  const WorkerId self_;
  FileDescriptor folder_fd_;  // O_PATH
  FileDescriptor socket_;
  const std::uint64_t socket_inode_;  // a host's closefrom() may make its number another file's
  const int owner_pid_;
  bool group_may_send_ = false;
  bool named_ = true;
};

/// The folder of the segment's mailboxes.
[[nodiscard]] std::string mailbox_folder(const Segment& segment);
/// Removes the name of a mailbox that nobody will read any more: of `id`, which is dead or leaving.
void unlink_mailbox(const Segment& segment, WorkerId id);

}  // namespace weir::shm
