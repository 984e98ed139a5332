// What the driver asks a server about its sessions: statements, and how their answers are read.
//
// A role that may not see other roles' sessions gets what it may: such fields are unknown, never
// wrong. Threads: pure functions.
#pragma once

#include <libpq-fe.h>

#include <cstdint>
#include <string>

#include "weir/driver.h"

namespace weir::postgres {

/// WEIR_OP_LIMITS.
extern const char* const kLimitsStatement;
void read_limits(const PGresult* result, weir_server_limits_t* limits);

/// WEIR_OP_ACTIVITY: client sessions of the whole server, the asking one (which is active)
/// included.
extern const char* const kActivityStatement;
void read_activity(const PGresult* result, weir_server_activity_t* activity);

/// WEIR_OP_SESSIONS: the same sessions one by one.
extern const char* const kSessionsStatement;
void read_sessions(const PGresult* result, const weir_sessions_t* sessions);

/// WEIR_OP_CONFIRM_GONE.
[[nodiscard]] std::string gone_statement(std::int32_t pid);
struct GoneAnswer {
  std::int32_t own_pid;  // of the server process that answered
  bool is_gone;
};
[[nodiscard]] GoneAnswer read_gone(const PGresult* result);

}  // namespace weir::postgres
