#include "cli/activity_command.h"

#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "cli/activity_report.h"
#include "cli/json_text.h"
#include "cli/servers.h"
#include "shm/snapshot.h"

namespace weir::cli {
namespace {

using config::RuntimeConfig;

template <std::size_t kSize>
std::string text_of(const char (&text)[kSize]) {
  return std::string(text, strnlen(text, kSize));
}

Result<std::vector<ServerSession>> list_sessions(driver::Connection& connection,
                                                 Deadline deadline) {
  std::vector<ServerSession> sessions;
  weir_sessions_t request{};
  request.struct_size = sizeof request;
  request.context = &sessions;
  request.each = [](void* context, const weir_session_t* session) {
    static_cast<std::vector<ServerSession>*>(context)->push_back(
        {session->server_pid, text_of(session->client_name), text_of(session->state),
         session->state_ms, text_of(session->wait)});
  };
  WEIR_TRY(connection.run(WEIR_OP_SESSIONS, &request, deadline));
  return sessions;
}

/// Whether the server has let go of the session that `token` names; nullopt if it cannot be told.
std::optional<bool> is_gone(driver::Connection& connection, const std::string& token,
                            Deadline deadline) {
  if (token.empty()) return std::nullopt;
  weir_token_t named{};
  named.size = static_cast<std::uint32_t>(std::min<std::size_t>(token.size(), WEIR_TOKEN_MAX));
  std::copy_n(token.begin(), named.size, named.bytes);
  weir_confirm_gone_t request{};
  request.struct_size = sizeof request;
  request.token = &named;
  if (!connection.run(WEIR_OP_CONFIRM_GONE, &request, deadline).ok()) return std::nullopt;
  return request.gone != 0;
}

// Places with a connection that no session carries the name of are asked for by their token.
void ask_for_the_unnamed(const shm::Snapshot& snapshot, const std::vector<std::string>& pools,
                         driver::Connection& connection, Deadline deadline, ServerAnswer& answer) {
  std::vector<PlaceName> named;
  for (const ServerSession& session : answer.sessions) {
    if (auto name = parse_client_name(session.client_name)) named.push_back(*std::move(name));
  }
  for (const std::string& pool_name : pools) {
    const shm::PoolSnapshot* pool = snapshot.pool(pool_name);
    if (pool == nullptr) continue;
    for (const shm::PlaceSnapshot& place : pool->places) {
      PlaceName name{pool_name, place.index};
      if (std::find(named.begin(), named.end(), name) != named.end()) continue;
      if (const auto gone = is_gone(connection, place.token, deadline)) {
        answer.gone.emplace(std::move(name), *gone);
      }
    }
  }
}

Result<ServerActivity> look_at(const Server& server, const shm::Segment& segment,
                               Deadline deadline) {
  const auto failed = [&](const Status& status) {
    std::string advice;
    if (status.code() == Code::kServerFull) {
      advice =
          "; weir activity needs one session beyond the quota: leave it room in the server's "
          "limit";
    }
    return Status(status.code(),
                  "server " + server.dsn.display() + ": " + status.message() + advice);
  };
  ServerAnswer answer;
  answer.own_client_name = "weir activity " + std::to_string(getpid());
  Result<driver::Connection> connection = connect(server, answer.own_client_name, deadline);
  if (!connection.ok()) return failed(connection.status());

  const shm::Snapshot before = shm::take_snapshot(segment);
  Result<std::vector<ServerSession>> sessions = list_sessions(connection.value(), deadline);
  if (!sessions.ok()) return failed(sessions.status());
  answer.sessions = std::move(sessions).value();
  ask_for_the_unnamed(before, server.pools, connection.value(), deadline, answer);
  const shm::Snapshot after = shm::take_snapshot(segment);

  // The answer stands whether or not the goodbye is heard.
  static_cast<void>(connection.value().run(WEIR_OP_CLOSE, nullptr, deadline));
  return ServerActivity{server.dsn.display(), server.pools,
                        join(before, after, server.pools, answer)};
}

}  // namespace

ExitCode run_activity(const ActivityOptions& options) {
  const auto fail = [](const Status& status) { return tell_failure("activity", status); };
  const Result<Target> target = resolve(options.where);
  if (!target.ok()) return fail(target.status());
  const RuntimeConfig& config = *target.value().config;
  const auto pools = pools_of(config, options.pool);
  if (!pools.ok()) return fail(pools.status());
  const auto segment = open_segment(target.value().segment);
  if (!segment.ok()) return fail(segment.status());
  const Result<std::vector<Server>> servers = servers_of(config, pools.value());
  if (!servers.ok()) return fail(servers.status());

  ExitCode outcome = kShown;
  std::vector<ServerActivity> seen;
  for (const Server& server : servers.value()) {
    Result<ServerActivity> activity =
        look_at(server, *segment.value(), Deadline::after(options.timeout));
    if (activity.ok()) {
      seen.push_back(std::move(activity).value());
    } else {
      outcome = fail(activity.status());
    }
  }
  if (seen.empty()) return outcome;
  std::string text;
  for (const ServerActivity& server : seen) {
    text += (text.empty() ? "" : "\n") + activity_text(server);
  }
  const ExitCode written = show_once(options.json ? json_text(activity_json(seen), false) : text);
  return written == kShown ? outcome : written;
}

}  // namespace weir::cli
