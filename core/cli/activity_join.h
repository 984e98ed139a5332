// What the server says, joined with what the segment says: which session belongs to which place,
// and where the two disagree.
//
// Sessions are recognised by the name weir gives them, weir:<service>/<pool>#<place>. The segment
// is looked at before and after the server was asked; what changed in between is no disagreement,
// so a busy machine raises no false ones. Threads: plain values and pure functions.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "shm/snapshot.h"

namespace weir::cli {

/// As the driver told it; -1: unknown.
struct ServerSession {
  std::int64_t server_pid = -1;
  std::string client_name = {};
  std::string state = {};  // the server's word; empty: not to be seen
  std::int64_t state_ms = -1;
  std::string wait = {};
};

/// A place as a session's name and the reports write it.
struct PlaceName {
  std::string pool;
  std::uint32_t place = 0;
  bool operator==(const PlaceName&) const = default;
  bool operator<(const PlaceName& other) const {
    return std::tie(pool, place) < std::tie(other.pool, other.place);
  }
};
/// "main#3".
[[nodiscard]] std::string to_text(const PlaceName& name);
/// Of weir:<service>/<pool>#<place>; nullopt for any other name, a cut one included.
[[nodiscard]] std::optional<PlaceName> parse_client_name(std::string_view client_name);

/// One connection: a place, the session the server shows for it, or both.
struct PlaceActivity {
  PlaceName name;
  shm::PlaceState state = shm::PlaceState::kFree;
  std::uint64_t state_ns = 0;         // for how long
  std::uint32_t worker = shm::kNone;  // row; kNone: no worker keeps it
  std::uint32_t pid = 0;              // of its worker, or of the one that had it; 0: none
  std::string label;                  // of the lease, or the last one
  std::optional<ServerSession> session;
  std::vector<std::string> hints;  // where segment and server disagree, or somebody should look
};

struct OtherSession {
  ServerSession session;
  std::string note;  // what is known of it; empty: nothing
};

struct Activity {
  std::vector<PlaceActivity> places;  // by pool and place
  std::vector<OtherSession> others;   // sessions of no place of `pools`
};

struct ServerAnswer {
  std::vector<ServerSession> sessions = {};
  std::map<PlaceName, bool> gone =
      {};                            // asked for by token: whether the server has no such session
  std::string own_client_name = {};  // of the session that asked
};

/// `pools`: the names of the pools whose connections go to that server. REQUIRES: `before` was
/// taken before the server was asked, `after` after.
[[nodiscard]] Activity join(const shm::Snapshot& before, const shm::Snapshot& after,
                            const std::vector<std::string>& pools, const ServerAnswer& answer);

}  // namespace weir::cli
