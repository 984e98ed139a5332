#include "exchange.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <new>
#include <utility>

namespace weir::redis {

Exchange::Exchange(std::int32_t lost_code, std::string doing)
    : lost_code_(lost_code), doing_(std::move(doing)), reader_(redisReaderCreate()) {
  if (reader_ == nullptr) throw std::bad_alloc();
}

Progress Exchange::step(int fd, Talk& talk, Failure* failure) {
  if (!has_begun_) {
    out_ = talk.opening();
    has_begun_ = true;
  }
  for (;;) {
    if (!send(fd, failure)) return Progress::kFailed;
    const Progress progress = receive(fd, talk, failure);
    // An answer may have led to another question.
    const bool has_more = send_error_ == 0 && sent_ < out_.size();
    if (progress != Progress::kWantRead || !has_more) return progress;
    if (!send(fd, failure)) return Progress::kFailed;
    if (sent_ < out_.size()) return Progress::kWantWrite;
  }
}

/// As much as there is room for. A server that hung up may have said why, so that is no failure
/// before all was read.
bool Exchange::send(int fd, Failure* failure) {
  while (send_error_ == 0 && sent_ < out_.size()) {
    const ssize_t n =
        ::send(fd, out_.data() + sent_, out_.size() - sent_, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n >= 0) {
      sent_ += static_cast<std::size_t>(n);
    } else if (errno == EAGAIN) {
      return true;
    } else if (errno == EPIPE || errno == ECONNRESET) {
      send_error_ = errno;
    } else if (errno != EINTR) {
      *failure = system_failure(lost_code_, doing_ + ": send", errno);
      return false;
    }
  }
  if (sent_ == out_.size()) {
    out_.clear();  // a password may have been in it
    sent_ = 0;
  }
  return true;
}

Progress Exchange::receive(int fd, Talk& talk, Failure* failure) {
  // A server with much to say is read in pieces, so that one step stays short.
  constexpr int kPieces = 16;
  std::array<char, 16384> piece;
  for (int i = 0; i < kPieces; ++i) {
    const ssize_t n = recv(fd, piece.data(), piece.size(), MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
      return send_error_ != 0 ? lose(failure, send_error_) : Progress::kWantRead;
    }
    if (n <= 0) return lose(failure, n < 0 ? errno : 0);
    if (redisReaderFeed(reader_.get(), piece.data(), static_cast<std::size_t>(n)) != REDIS_OK) {
      fail(failure, lost_code_, doing_ + ": " + shown(reader_->errstr));
      return Progress::kFailed;
    }
    const Progress progress = hear(talk, failure);
    if (progress != Progress::kWantRead) return progress;
  }
  return Progress::kWantRead;
}

Progress Exchange::hear(Talk& talk, Failure* failure) {
  for (;;) {
    void* raw = nullptr;
    if (redisReaderGetReply(reader_.get(), &raw) != REDIS_OK) {
      fail(failure, lost_code_, doing_ + ": " + shown(reader_->errstr));
      return Progress::kFailed;
    }
    if (raw == nullptr) return Progress::kWantRead;
    const Verdict verdict = talk.hear(ReplyPtr(static_cast<redisReply*>(raw)), &out_, failure);
    if (verdict == Verdict::kFailed) return Progress::kFailed;
    if (verdict == Verdict::kMore) continue;
    if (reader_->pos == reader_->len) return Progress::kDone;
    fail(failure, lost_code_, doing_ + ": the server said more than it was asked");
    return Progress::kFailed;
  }
}

Progress Exchange::lose(Failure* failure, int error_number) const {
  if (error_number != 0) {
    *failure = system_failure(lost_code_, doing_, error_number);
  } else {
    fail(failure, lost_code_, doing_ + ": the server hung up");
  }
  return Progress::kFailed;
}

}  // namespace weir::redis
