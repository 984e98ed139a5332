// Sessions that move between two processes, as workers send them: one step in each.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <optional>
#include <vector>

#include "conformance/suite.h"
#include "support/courier.h"

namespace weir::test {

inline constexpr int kRounds = 300;  // of two moves each

using Clock = std::chrono::steady_clock;

inline double microseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::micro>(Clock::now() - start).count();
}

inline double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

/// Sends the session away: as the protocol has it, this process's copy goes before anybody else can
/// go on.
inline bool send_away(Courier& courier, Courier::End end, Connection connection) {
  const Result<std::string> blob = connection.export_session();
  if (!blob.ok()) {
    std::fprintf(stderr, "export: %s\n", blob.status().to_string().c_str());
    return false;
  }
  const bool is_sent = courier.send(end, connection.fd(), blob.value());
  connection.abandon();
  return is_sent;
}

/// Without an object: nothing came, or it could not be taken. Notes how long an import took.
inline Connection take_in(Courier& courier, Courier::End end, const Dsn& dsn,
                          const weir_conn_options_t& options,
                          std::vector<double>* attach_us = nullptr) {
  const std::optional<Parcel> parcel = courier.receive(end);
  if (!parcel) return {};
  const auto start = Clock::now();
  Result<Connection> connection =
      Connection::import_session(dsn, options, parcel->descriptor, parcel->bytes);
  if (attach_us != nullptr) attach_us->push_back(microseconds_since(start));
  if (connection.ok()) return std::move(connection).value();
  std::fprintf(stderr, "import: %s\n", connection.status().to_string().c_str());
  return {};
}

}  // namespace weir::test
