// Exchange: commands out, answers in, on a descriptor, without waiting. What is said and what the
// answers mean is a Talk's.
//
// It has its own buffers and its own hiredis reader, so a lease's redisContext is as the lease left
// it, and what the driver says never counts as a lease's doing.
// Threads: one at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "failure.h"
#include "reply.h"

namespace weir::redis {

enum class Verdict { kMore, kDone, kFailed };

/// What an operation says to the server and makes of its answers.
class Talk {
 public:
  Talk() = default;
  Talk(const Talk&) = delete;
  Talk& operator=(const Talk&) = delete;
  virtual ~Talk() = default;

  /// The first words. Called once.
  virtual std::string opening() = 0;
  /// The next answer. It may append to *more what is to be sent now. On kFailed *failure says why.
  virtual Verdict hear(ReplyPtr reply, std::string* more, Failure* failure) = 0;
};

class Exchange {
 public:
  /// `lost_code` is what a hang-up means here; `doing` names the operation in messages.
  Exchange(std::int32_t lost_code, std::string doing);

  /// Goes on with `talk` on `fd`, whatever its mode, without waiting.
  Progress step(int fd, Talk& talk, Failure* failure);

 private:
  bool send(int fd, Failure* failure);
  Progress receive(int fd, Talk& talk, Failure* failure);
  Progress hear(Talk& talk, Failure* failure);
  Progress lose(Failure* failure, int error_number) const;

  const std::int32_t lost_code_;
  const std::string doing_;
  const ReaderPtr reader_;
  std::string out_;
  std::size_t sent_ = 0;
  bool has_begun_ = false;
  int send_error_ = 0;
};

}  // namespace weir::redis
