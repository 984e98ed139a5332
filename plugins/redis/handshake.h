// Handshake: what is said on a new connection, all at once: RESET, to find out whether the server
// knows it; AUTH, SELECT, CLIENT SETNAME; CLIENT ID and INFO, for the session's token; and a PING
// whose answer shows that the session serves commands.
//
// A server or user without CLIENT or INFO still gets a session, but one without a token.
// Threads: one at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dsn.h"
#include "exchange.h"
#include "server_answers.h"

namespace weir::redis {

/// How one session presents itself.
struct SessionOptions {
  std::string client_name;              // as CLIENT SETNAME takes it; empty: none
  std::optional<std::string> password;  // of the DSN, or given beside it
};

/// The name without what Redis takes for special: anything but printable ASCII becomes '_'.
[[nodiscard]] std::string fit_for_redis(std::string client_name);

/// AUTH with what there is; nullopt: nobody has to prove anything. A user without a password is
/// sent with an empty one: those with "nopass" take any.
[[nodiscard]] std::optional<std::string> auth_command(const Dsn& dsn,
                                                      const SessionOptions& options);

/// What the server said when it refused `doing`, as the code that a new connection has for it.
[[nodiscard]] Failure refused_session(const redisReply& error, const std::string& doing,
                                      const Dsn& dsn);

class Handshake final : public Talk {
 public:
  /// Both have to outlive it.
  Handshake(const Dsn& dsn, const SessionOptions& options);

  std::string opening() override;
  Verdict hear(ReplyPtr reply, std::string* more, Failure* failure) override;

  // Once it is done.
  [[nodiscard]] bool has_reset() const { return has_reset_; }          // of Redis 6.2
  [[nodiscard]] std::int64_t client_id() const { return client_id_; }  // 0: not told
  [[nodiscard]] const ServerRun& run() const { return run_; }

 private:
  enum class Ask { kReset, kAuth, kSelect, kName, kId, kInfo, kPing };

  bool judge(Ask ask, const redisReply& reply, Failure* failure);

  const Dsn& dsn_;
  const SessionOptions& options_;
  const std::string marker_;
  std::vector<Ask> asked_;
  std::size_t answered_ = 0;
  bool has_reset_ = false;
  std::int64_t client_id_ = 0;
  ServerRun run_;
};

}  // namespace weir::redis
