#include "cli/activity_join.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "cli/pool_figures.h"
#include "cli/status_report.h"

namespace weir::cli {
namespace {

using shm::PlaceSnapshot;
using shm::PlaceState;

bool is_empty(PlaceState state) {
  return state == PlaceState::kFree || state == PlaceState::kOffered ||
         state == PlaceState::kRetired;
}

bool starts_with(std::string_view text, std::string_view with) { return text.starts_with(with); }

const PlaceSnapshot* find_place(const shm::Snapshot& snapshot, const PlaceName& name) {
  const shm::PoolSnapshot* pool = snapshot.pool(name.pool);
  if (pool == nullptr) return nullptr;
  const auto found =
      std::find_if(pool->places.begin(), pool->places.end(),
                   [&](const PlaceSnapshot& place) { return place.index == name.place; });
  return found == pool->places.end() ? nullptr : &*found;
}

// Whether the place went through nothing in between: neither another state nor another lease.
bool is_steady(const PlaceSnapshot* before, const PlaceSnapshot& after) {
  return before != nullptr && before->state == after.state && before->occ == after.occ &&
         before->leases == after.leases;
}

std::string disagreement(const PlaceSnapshot& place, const ServerSession* session,
                         std::optional<bool> gone) {
  if (session == nullptr) {
    const bool lingers = place.state == PlaceState::kLingering;
    if (!lingers && place.state != PlaceState::kIdle && place.state != PlaceState::kUsed) return {};
    if (gone == true) {
      return lingers ? "the server has let go of it: about to be freed"
                     : "the server does not have this session any more";
    }
    return gone == false ? "the server has this session under another name"
                         : "no session on the server carries this place's name";
  }
  if (is_empty(place.state)) return "empty here, but the server has this session";
  if (place.state == PlaceState::kLingering) return "its worker died, the server still has it";
  if (place.state == PlaceState::kIdle && !session->state.empty() && session->state != "idle") {
    return starts_with(session->state, "idle in transaction")
               ? "idle here, but a transaction is open on the server"
               : "idle here, but " + session->state + " on the server";
  }
  return {};
}

void add_hints_about_worker(PlaceActivity& row, const shm::WorkerSnapshot* worker) {
  if (worker == nullptr) return;
  if (worker->dead) {
    row.hints.emplace_back("its worker is dead and not settled yet");
  } else if (worker->beat_ago_ns >= kQuietAfterNs) {
    row.hints.emplace_back("its worker's keeper is quiet: stopped?");
  }
}

class Join {
 public:
  Join(const shm::Snapshot& before, const shm::Snapshot& after,
       const std::vector<std::string>& pools, const ServerAnswer& answer)
      : before_(before), after_(after), pools_(pools), answer_(answer) {}

  Activity run() {
    sort_sessions();
    for (const std::string& name : pools_) {
      const shm::PoolSnapshot* pool = after_.pool(name);
      if (pool == nullptr) continue;
      for (const PlaceSnapshot& place : pool->places) add_place({name, place.index}, place);
    }
    std::sort(activity_.places.begin(), activity_.places.end(),
              [](const auto& a, const auto& b) { return a.name < b.name; });
    return std::move(activity_);
  }

 private:
  // Every session is either some place's or other.
  void sort_sessions() {
    for (const ServerSession& session : answer_.sessions) {
      const std::optional<PlaceName> name = parse_client_name(session.client_name);
      const bool is_ours =
          name && std::find(pools_.begin(), pools_.end(), name->pool) != pools_.end();
      if (is_ours && find_place(after_, *name) != nullptr) {
        sessions_[*name].push_back(&session);
      } else {
        activity_.others.push_back({session, note_on(session, name)});
      }
    }
  }

  std::string note_on(const ServerSession& session, const std::optional<PlaceName>& name) const {
    if (session.client_name == answer_.own_client_name) return "this command";
    if (name && find_place(after_, *name) != nullptr) return "place " + to_text(*name);
    if (name) return "names a place that this segment does not have";
    return starts_with(session.client_name, "weir:") ? "weir's, but its name is cut off" : "";
  }

  void add_place(const PlaceName& name, const PlaceSnapshot& place) {
    const std::vector<const ServerSession*>& found = sessions_[name];
    if (found.empty() && is_empty(place.state)) return;
    for (const ServerSession* session : found) add_row(name, place, session, found.size());
    if (found.empty()) add_row(name, place, nullptr, 0);
  }

  void add_row(const PlaceName& name, const PlaceSnapshot& place, const ServerSession* session,
               std::size_t namesakes) {
    PlaceActivity row;
    row.name = name;
    row.state = place.state;
    row.state_ns = place.state_ns;
    row.worker = place.worker;
    const shm::WorkerSnapshot* worker = worker_in(after_, place.worker);
    row.pid = worker != nullptr ? worker->pid : place.holder_pid;
    row.label = place.label;
    if (session != nullptr) row.session = *session;
    if (is_steady(find_place(before_, name), place)) {
      const auto asked = answer_.gone.find(name);
      std::string hint = disagreement(
          place, session,
          asked == answer_.gone.end() ? std::nullopt : std::optional<bool>(asked->second));
      if (!hint.empty()) row.hints.push_back(std::move(hint));
    }
    if (namesakes > 1) {
      row.hints.push_back(std::to_string(namesakes) +
                          " sessions carry this name: another machine's or segment's?");
    }
    add_hints_about_worker(row, worker);
    activity_.places.push_back(std::move(row));
  }

  const shm::Snapshot& before_;
  const shm::Snapshot& after_;
  const std::vector<std::string>& pools_;
  const ServerAnswer& answer_;
  std::map<PlaceName, std::vector<const ServerSession*>> sessions_;
  Activity activity_;
};

}  // namespace

std::string to_text(const PlaceName& name) { return name.pool + "#" + std::to_string(name.place); }

std::optional<PlaceName> parse_client_name(std::string_view client_name) {
  constexpr std::string_view kPrefix = "weir:";
  if (!client_name.starts_with(kPrefix)) return std::nullopt;
  const std::size_t hash = client_name.rfind('#');
  if (hash == std::string_view::npos) return std::nullopt;
  const std::size_t slash = client_name.rfind('/', hash);
  if (slash == std::string_view::npos || slash < kPrefix.size()) return std::nullopt;
  PlaceName name;
  name.pool = client_name.substr(slash + 1, hash - slash - 1);
  const std::string_view digits = client_name.substr(hash + 1);
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), name.place);
  if (name.pool.empty() || error != std::errc() || end != digits.data() + digits.size()) {
    return std::nullopt;
  }
  return name;
}

Activity join(const shm::Snapshot& before, const shm::Snapshot& after,
              const std::vector<std::string>& pools, const ServerAnswer& answer) {
  return Join(before, after, pools, answer).run();
}

}  // namespace weir::cli
