// Cleaning: takes back what a lease did to a session, in one round trip. Two parts go out at once.
//
//   1. whatever ends the state that the session may be in, and PING with a marker that nobody has
//      said before. How many answers come before it is not known: a lease may have left unread
//      ones. All of them are dropped, but the last must say that the state did end.
//   2. what makes the session ours: SELECT, CLIENT SETNAME, CLIENT ID and a second PING. From the
//      first marker on the answers are counted, and each has to be the one that belongs there; the
//      client's number shows that it is the session it was.
//
// Since Redis 6.2 RESET ends everything; it also logs out, so AUTH follows. Sent twice, because a
// CLIENT REPLY SKIP that is still open swallows the first answer. Older servers are told everything
// one by one; what they cannot end (MONITOR) fails part 2, and the session is closed.
// Threads: one at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "dsn.h"
#include "exchange.h"
#include "handshake.h"

namespace weir::redis {

enum class CleaningKind {
  kReset,            // RESET, and log in again
  kOneByOne,         // the same without RESET
  kTransactionOnly,  // DISCARD and UNWATCH; everything else stays
};

class Cleaning final : public Talk {
 public:
  /// `client_id` is the session's; 0: not known. Both references have to outlive it.
  Cleaning(CleaningKind kind, const Dsn& dsn, const SessionOptions& options,
           std::int64_t client_id);

  std::string opening() override;
  Verdict hear(ReplyPtr reply, std::string* more, Failure* failure) override;

 private:
  using Judge = std::function<bool(const redisReply&)>;
  struct Expected {
    std::string doing;
    Judge is_right;
  };

  std::string end_state();
  std::string make_ours();
  bool has_ended_state(Failure* failure) const;
  Verdict hear_any(const redisReply& reply, Failure* failure);
  Verdict hear_expected(const redisReply& reply, Failure* failure);
  Verdict give_up(Failure* failure, const std::string& why, const redisReply* error) const;

  const CleaningKind kind_;
  const Dsn& dsn_;
  const SessionOptions& options_;
  const std::int64_t client_id_;
  const std::string first_marker_;
  const std::string second_marker_;

  bool found_first_ = false;
  ReplyPtr last_, before_last_;  // before the first marker
  std::vector<Expected> last_of_first_;
  std::vector<Expected> expected_;
  std::size_t answered_ = 0;
};

}  // namespace weir::redis
