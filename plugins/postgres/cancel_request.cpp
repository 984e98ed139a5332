#include "cancel_request.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <cerrno>
#include <cstring>

#include "host.h"
#include "wait.h"

namespace weir::postgres {
namespace {

using Packet = std::array<char, 16>;

/// Length, request code, pid and key, all big-endian (manual, "Message Formats": CancelRequest).
Packet packet_for(const SessionToken& token) {
  constexpr std::uint32_t kRequestCode = 1234U << 16 | 5678U;
  const std::array<std::uint32_t, 4> words = {htonl(sizeof(Packet)), htonl(kRequestCode),
                                              htonl(static_cast<std::uint32_t>(token.pid)),
                                              htonl(token.cancel_key.value_or(0))};
  return std::bit_cast<Packet>(words);
}

Progress fail(Failure* failure, const char* what, int error_number) {
  *failure =
      system_failure(WEIR_CONNECT_FAILED, std::string("cancel request: ") + what, error_number);
  return Progress::kFailed;
}

}  // namespace

CancelRequest::~CancelRequest() {
  if (fd_ >= 0) ::close(fd_);
}

Progress CancelRequest::step(Failure* failure) {
  switch (stage_) {
    case Stage::kConnect:
      return connect(failure);
    case Stage::kAwaitConnect:
      return check_connected(failure);
    case Stage::kSend:
      return send_packet(failure);
    case Stage::kAwaitEnd:
      break;
  }
  return await_end(failure);
}

Progress CancelRequest::connect(Failure* failure) {
  fd_ = socket(token_.address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd_ < 0) return fail(failure, "socket", errno);
  if (::connect(fd_, token_.address.get(), token_.address.size) == 0) {
    stage_ = Stage::kSend;
    return send_packet(failure);
  }
  // EAGAIN (a Unix socket whose backlog is full) is a failure: nothing would ever say when to go
  // on.
  if (errno != EINPROGRESS) return fail(failure, "connect", errno);
  stage_ = Stage::kAwaitConnect;
  return Progress::kWantWrite;
}

Progress CancelRequest::check_connected(Failure* failure) {
  if (!is_ready(fd_, POLLOUT)) return Progress::kWantWrite;
  int error = 0;
  socklen_t size = sizeof error;
  if (getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
  if (error != 0) return fail(failure, "connect", error);
  stage_ = Stage::kSend;
  return send_packet(failure);
}

Progress CancelRequest::send_packet(Failure* failure) {
  const Packet packet = packet_for(token_);
  while (sent_ < packet.size()) {
    const ssize_t n = ::send(fd_, packet.data() + sent_, packet.size() - sent_, MSG_NOSIGNAL);
    if (n >= 0) {
      sent_ += static_cast<std::size_t>(n);
    } else if (errno == EAGAIN) {
      return Progress::kWantWrite;
    } else if (errno != EINTR) {
      return fail(failure, "send", errno);
    }
  }
  stage_ = Stage::kAwaitEnd;
  return Progress::kWantRead;
}

Progress CancelRequest::await_end(Failure* failure) {
  char answer = 0;  // the server never sends any
  const ssize_t n = recv(fd_, &answer, sizeof answer, MSG_DONTWAIT);
  if (n == 0 || (n < 0 && errno == ECONNRESET)) return Progress::kDone;
  if (n > 0 || errno == EAGAIN || errno == EINTR) return Progress::kWantRead;
  return fail(failure, "recv", errno);
}

Failure CancelRequest::send(const SessionToken& token, std::uint64_t deadline_ns) {
  CancelRequest request(token);
  for (;;) {
    Failure failure;
    const Progress progress = request.step(&failure);
    if (progress == Progress::kDone || progress == Progress::kFailed) return failure;
    const short events = progress == Progress::kWantWrite ? POLLOUT : POLLIN;
    if (!wait_until(request.fd(), events, deadline_ns)) return timed_out("cancel request");
  }
}

}  // namespace weir::postgres
