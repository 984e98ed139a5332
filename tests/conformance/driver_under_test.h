// DriverUnderTest: all that the conformance suite has to know about one driver, its client library
// and a server that it talks to. Who writes a driver implements this once, and the suite does the
// rest.
//
// What stands for a lease is done with the client library itself, on the driver's native handle.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace weir::test {

class DriverUnderTest {
 public:
  virtual ~DriverUnderTest() = default;

  // The driver.
  [[nodiscard]] virtual std::string name() const = 0;       // of the plugin: "postgres"
  [[nodiscard]] virtual std::string directory() const = 0;  // that it is loaded from

  // What it can know, where not all drivers can.
  /// Whether it sees what a lease says. If not, whatever a lease said makes a session dirty.
  [[nodiscard]] virtual bool sees_statements() const { return true; }

  // DSNs. secret() stands in each of them, and may stand in nothing that anybody is told.
  [[nodiscard]] virtual std::string dsn() const = 0;
  [[nodiscard]] virtual std::string secret() const = 0;
  [[nodiscard]] virtual std::string same_server_other_secret_dsn()
      const = 0;  // refused by the server
  [[nodiscard]] virtual std::string same_server_other_session_dsn() const = 0;
  // A server on 127.0.0.1. If the driver opens no sockets: another server for each port.
  [[nodiscard]] virtual std::string dsn_at_tcp(std::uint16_t port) const = 0;
  [[nodiscard]] virtual bool opens_sockets() const { return true; }
  struct BadDsn {
    std::string text;
    std::string names;  // what a refusal has to say
  };
  [[nodiscard]] virtual std::vector<BadDsn> bad_dsns() const = 0;

  // The server, asked behind the driver's back.
  virtual int count_sessions() = 0;
  virtual bool is_busy(std::int64_t session) = 0;  // runs a statement right now
  virtual std::string client_name_of(std::int64_t session) = 0;
  /// How the server shows a client that is called `name`, where it does not take every character.
  [[nodiscard]] virtual std::string shown_name(const std::string& name) const { return name; }
  virtual void terminate(std::int64_t session) = 0;  // ends it from the server's side
  virtual void freeze() = 0;                         // nobody answers any more, until thaw()
  virtual void thaw() = 0;

  // What a lease does.
  virtual std::int64_t session_of(void* native) = 0;
  virtual bool query(void* native) = 0;  // a plain one; whether it worked
  virtual void leave_state(void* native) = 0;
  virtual bool has_state(void* native) = 0;  // that of leave_state
  virtual void leave_transaction(void* native) = 0;
  virtual void leave_unread(void* native) = 0;  // sends a statement and does not read the answer
  virtual bool sleep_long(void* native) = 0;    // on the server, a minute; false: was interrupted

  // Statements for WEIR_OP_EXECUTE.
  [[nodiscard]] virtual std::string statement() const = 0;
  [[nodiscard]] virtual std::string slow_statement() const = 0;  // takes a minute
  [[nodiscard]] virtual std::string refused_statement() const = 0;
  [[nodiscard]] virtual std::string native_text_of_refusal() const = 0;
};

/// Makes a subject with a server of its own.
using MakeDriverUnderTest = std::unique_ptr<DriverUnderTest> (*)();

}  // namespace weir::test
