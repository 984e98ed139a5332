#include "cli/activity_report.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/render.h"
#include "shm/snapshot.h"

namespace weir::cli {
namespace {

using Json = nlohmann::ordered_json;
constexpr auto kText = Table::Align::kText;

std::size_t sessions_of_places(const Activity& activity) {
  return static_cast<std::size_t>(
      std::count_if(activity.places.begin(), activity.places.end(),
                    [](const PlaceActivity& place) { return place.session.has_value(); }));
}

std::string ms_text(std::int64_t ms) {
  return ms < 0 ? "?" : age_text(static_cast<std::uint64_t>(ms) * 1'000'000);
}

std::string or_unknown(const std::string& text) { return text.empty() ? "?" : text; }

Table place_table(const Activity& activity) {
  Table table({{"", kText},
               {"PLACE", kText},
               {"HERE", kText},
               {"FOR"},
               {"PID"},
               {"LABEL", kText},
               {"SERVER PID"},
               {"THERE", kText},
               {"FOR"},
               {"WAITS FOR", kText}});
  for (const PlaceActivity& place : activity.places) {
    std::vector<std::string> cells = {place.hints.empty() ? "" : "!",
                                      to_text(place.name),
                                      std::string(shm::place_state_name(place.state)),
                                      age_text(place.state_ns),
                                      place.pid == 0 ? "-" : std::to_string(place.pid),
                                      place.label};
    if (place.session) {
      cells.push_back(std::to_string(place.session->server_pid));
      cells.push_back(or_unknown(place.session->state));
      cells.push_back(ms_text(place.session->state_ms));
      cells.push_back(place.session->wait);
    } else {
      cells.insert(cells.end(), {"-", "-", "-", ""});
    }
    table.add(std::move(cells));
  }
  return table;
}

Table other_table(const Activity& activity) {
  Table table({{"SERVER PID"},
               {"NAME", kText},
               {"THERE", kText},
               {"FOR"},
               {"WAITS FOR", kText},
               {"NOTE", kText}});
  for (const OtherSession& other : activity.others) {
    const ServerSession& session = other.session;
    table.add({std::to_string(session.server_pid), session.client_name, or_unknown(session.state),
               ms_text(session.state_ms), session.wait, other.note});
  }
  return table;
}

// A server that names no session as we would is told once, not place by place.
std::string hint_lines(const Activity& activity) {
  std::string out;
  for (const PlaceActivity& place : activity.places) {
    for (const std::string& hint : place.hints) {
      out += "  " + to_text(place.name);
      if (place.session) out += " (server pid " + std::to_string(place.session->server_pid) + ")";
      out += ": " + printable(hint) + "\n";
    }
  }
  if (!activity.places.empty() && sessions_of_places(activity) == 0) {
    out +=
        "  No session carries the name of a place: does the DSN or the environment set another\n"
        "  (application_name, PGAPPNAME)?\n";
  }
  return out;
}

Json session_json(const ServerSession& session) {
  return {{"server_pid", session.server_pid},
          {"client_name", session.client_name},
          {"state", session.state},
          {"state_ms", session.state_ms},
          {"wait", session.wait}};
}

Json place_json(const PlaceActivity& place) {
  const bool has_worker = place.worker != shm::kNone;
  return {{"pool", place.name.pool},
          {"place", place.name.place},
          {"state", shm::place_state_name(place.state)},
          {"state_ms", to_ms(place.state_ns)},
          {"worker", has_worker ? Json(place.worker) : Json(nullptr)},
          {"pid", place.pid == 0 ? Json(nullptr) : Json(place.pid)},
          {"label", place.label},
          {"session", place.session ? session_json(*place.session) : Json(nullptr)},
          {"hints", place.hints}};
}

}  // namespace

std::string activity_text(const ServerActivity& server) {
  const Activity& activity = server.activity;
  const std::size_t ours = sessions_of_places(activity);
  std::string pools;
  for (const std::string& pool : server.pools) pools += (pools.empty() ? "" : ", ") + pool;
  const std::size_t others = activity.others.size();
  std::string out =
      "server " + printable(server.server) + (server.pools.size() == 1 ? " (pool " : " (pools ") +
      pools + ")\n" + std::to_string(ours + others) +
      (ours + others == 1 ? " session: " : " sessions: ") + std::to_string(ours) +
      " of these places, " + std::to_string(others) + (others == 1 ? " other" : " others") +
      "; one of them is this command's own, outside the quota\n\n";
  const Table places = place_table(activity);
  out += places.is_empty() ? "No place of these pools has a connection.\n" : places.text();
  if (const std::string hints = hint_lines(activity); !hints.empty()) {
    out += "\nTo look at (!)\n" + hints;
  }
  if (!activity.others.empty()) out += "\nOther sessions\n" + other_table(activity).text();
  return out;
}

nlohmann::ordered_json activity_json(const std::vector<ServerActivity>& servers) {
  Json out = {{"format", 1}, {"servers", Json::array()}};
  for (const ServerActivity& server : servers) {
    Json places = Json::array(), others = Json::array();
    for (const PlaceActivity& place : server.activity.places) places.push_back(place_json(place));
    for (const OtherSession& other : server.activity.others) {
      Json session = session_json(other.session);
      session["note"] = other.note;
      others.push_back(std::move(session));
    }
    out["servers"].push_back({{"server", server.server},
                              {"pools", server.pools},
                              {"places", std::move(places)},
                              {"other", std::move(others)}});
  }
  return out;
}

}  // namespace weir::cli
