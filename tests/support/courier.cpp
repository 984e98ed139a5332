#include "support/courier.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>

namespace weir::test {
namespace {

constexpr std::size_t kMostBytes = 8192;
constexpr int kPatienceMs = 20'000;

}  // namespace

Courier::Courier() {
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends_.data()) != 0) {
    throw std::system_error(errno, std::generic_category(), "a socket pair");
  }
}

Courier::~Courier() {
  for (const int end : ends_) close(end);
}

bool Courier::send(End from, int descriptor, std::string_view bytes) {
  iovec part{const_cast<char*>(bytes.data()), bytes.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof descriptor)> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* const header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof descriptor);
  std::memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
  const int end = ends_[static_cast<std::size_t>(from)];
  return sendmsg(end, &message, MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
}

std::optional<Parcel> Courier::receive(End at) {
  const int end = ends_[static_cast<std::size_t>(at)];
  pollfd watched{end, POLLIN, 0};
  if (poll(&watched, 1, kPatienceMs) <= 0) return std::nullopt;
  Parcel parcel;
  parcel.bytes.resize(kMostBytes);
  iovec part{parcel.bytes.data(), parcel.bytes.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof parcel.descriptor)> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t n = recvmsg(end, &message, MSG_CMSG_CLOEXEC);
  if (n <= 0) return std::nullopt;
  parcel.bytes.resize(static_cast<std::size_t>(n));
  const cmsghdr* const header = CMSG_FIRSTHDR(&message);
  if (header == nullptr || header->cmsg_type != SCM_RIGHTS) return std::nullopt;
  std::memcpy(&parcel.descriptor, CMSG_DATA(header), sizeof parcel.descriptor);
  return parcel;
}

}  // namespace weir::test
