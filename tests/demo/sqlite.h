// The demo's SQLite: no server, one database file in WAL mode in a temporary folder. A request
// reads a row and keeps the statement, and with it its read transaction, open for its time.
//
// Nobody counts sessions here but the kernel, which knows who has which file open. What is counted
// is the write-ahead log: SQLite opens it once for each connection and closes it with the
// connection, while of the database file it may keep a descriptor for as long as its process has
// another connection (sqlite.org/src, os_unix.c: "setPendingFd").
//
// Fork: no connection is open in the process that makes this, for SQLite could not be used in its
// children then.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "demo/database.h"
#include "support/temp_folder.h"

namespace weir::demo {

class SqliteClient final : public Client {
 public:
  explicit SqliteClient(std::string file);
  [[nodiscard]] Connection open(std::string* error) const override;
  void close(void* native) const override;
  [[nodiscard]] std::string serve(void* native, std::uint32_t hold_us) const override;

 private:
  const std::string file_;
};

class SqliteDatabase final : public Database {
 public:
  /// Makes the file. Throws std::runtime_error with SQLite's words.
  SqliteDatabase();

  [[nodiscard]] const DatabaseFacts& facts() const override;
  [[nodiscard]] std::string dsn() const override;
  [[nodiscard]] const Client& client() const override { return client_; }
  [[nodiscard]] std::unique_ptr<SessionCounter> make_counter(const Board& board) const override;
  [[nodiscard]] std::optional<Tally> tally() override { return std::nullopt; }

 private:
  const test::TempFolder folder_;
  const std::string file_;
  const SqliteClient client_;
};

}  // namespace weir::demo
