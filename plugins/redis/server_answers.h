// What the server tells about itself and its clients: INFO, CLIENT LIST and CONFIG GET, read into
// the ABI's structs. Who may not ask gets -1: unknown.
// Threads: any; plain functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "reply.h"
#include "token.h"
#include "weir/driver.h"

namespace weir::redis {

/// One run of a server, from INFO's section "server".
struct ServerRun {
  std::string id;  // 40 hexadecimal digits; empty: not told
  std::int64_t uptime_s = -1;
};
[[nodiscard]] ServerRun read_run(const redisReply& info);

/// What an answering server is to the session that a token names.
enum class Kinship {
  kSameRun,    // the one that has, or had, the session
  kRestarted,  // the same address, but it began after that session: all sessions before are gone
  kElsewhere,  // another server behind the same address, or one that does not say
};
[[nodiscard]] Kinship kinship(const ServerRun& run, const SessionToken& token,
                              std::uint64_t now_ns);

/// Whether the answer to CLIENT LIST ID <id> has that client. False in *is_understood: neither yes
/// nor no.
[[nodiscard]] bool has_client(const redisReply& list, std::int64_t id, bool* is_understood);

/// CONFIG GET maxclients, and INFO clients, which says it too since Redis 7.
void read_limits(const redisReply& config, const redisReply& info, weir_server_limits_t* limits);
/// Both of CLIENT LIST.
void read_activity(const redisReply& list, weir_server_activity_t* activity);
void read_sessions(const redisReply& list, const weir_sessions_t& sessions);

}  // namespace weir::redis
