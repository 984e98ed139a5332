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

#include "weir/driver.h"

namespace weir::test {

/// What a test may need of its subject, beside a driver and a DSN.
enum class Means {
  kSecret,           // secret(), dsn() with it
  kWrongSecretDsn,   // same_server_other_secret_dsn()
  kOtherSessionDsn,  // same_server_other_session_dsn()
  kOtherServers,     // dsn_at_tcp()
  kSockets,          // ... and the driver connects to them by TCP
  kBadDsns,
  kCountSessions,
  kSeeBusy,     // is_busy()
  kClientName,  // client_name_of()
  kTerminate,
  kFreeze,         // and thaw()
  kSessionNumber,  // session_of()
  kQuery,
  kState,  // leave_state(), has_state()
  kTransaction,
  kUnread,
  kSleep,
  kStatement,
  kSlowStatement,
  kRefusedStatement,
};

class DriverUnderTest {
 public:
  virtual ~DriverUnderTest() = default;

  /// Why there is no such thing here, in words that a list of skipped tests shows; empty: there is,
  /// and only then a test calls what belongs to it.
  [[nodiscard]] virtual std::string why_without(Means /*means*/) const { return {}; }

  // What the driver promises; the suite holds it to that, either way.
  [[nodiscard]] virtual bool has_descriptor() const { return true; }      // fd() of an open one
  [[nodiscard]] virtual bool names_sessions() const { return true; }      // session_token()
  [[nodiscard]] virtual bool cancel_asks_server() const { return true; }  // else it needs nobody
  /// Whether `op` is answered; else it is WEIR_NOT_SUPPORTED.
  [[nodiscard]] virtual bool answers(weir_op /*op*/) const { return true; }
  /// Whether `op` needs the server: while that is frozen it cannot end. Else it ends all the same.
  [[nodiscard]] virtual bool needs_server(weir_op /*op*/) const { return true; }

  /// The driver's table, where the subject has loaded it itself; null: it is loaded by name.
  [[nodiscard]] virtual const weir_driver_t* table() const { return nullptr; }

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
  // A server on 127.0.0.1. Without kSockets: another server for each port.
  [[nodiscard]] virtual std::string dsn_at_tcp(std::uint16_t port) const = 0;
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
