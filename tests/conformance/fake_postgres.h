// FakePostgres: as much of PostgreSQL's protocol as it takes to let a client in, for what a real
// server never does. It serves one connection at a time from a thread of its own, at a Unix socket.
//
// Threads: set up by one; say() from any.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "support/temp_folder.h"

namespace weir::test {

class FakePostgres {
 public:
  struct Script {
    std::int32_t pid = 77;
    std::optional<std::int32_t> key = 1234;  // nullopt: sends no BackendKeyData
    std::string answer = {};                 // to every query: protocol messages
  };
  explicit FakePostgres(Script script);
  FakePostgres(const FakePostgres&) = delete;
  FakePostgres& operator=(const FakePostgres&) = delete;
  ~FakePostgres();

  [[nodiscard]] std::string dsn() const;
  /// Sends protocol messages to the client that is connected, out of turn.
  void say(const std::string& messages);

  /// One protocol message: its type, and its body after the length.
  static std::string message(char type, std::string_view body);
  /// A result of one row of text fields and "SELECT 1", and that the session is idle.
  static std::string row(std::initializer_list<std::string_view> fields);
  static std::string number(std::int32_t value);  // as messages carry it
  static std::string text(std::string_view value);

 private:
  void serve();
  void talk(int client);

  const Script script_;
  TempFolder folder_;
  int listener_;
  std::atomic<int> client_ = -1;
  std::thread thread_;
};

}  // namespace weir::test
