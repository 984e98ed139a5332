// Client: what the demo does with connections to one kind of database, by its client library alone.
// The static split opens and closes by it; every request is served by it, whoever lent the
// connection.
//
// Threads: any; a connection has one at a time. Fork: a child uses what it opened itself.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

namespace weir::demo {

class Client;

struct CloseConnection {
  const Client* client = nullptr;
  void operator()(void* native) const;
};
/// Closed when it goes. Points to the client library's handle; its Client must outlive it.
using Connection = std::unique_ptr<void, CloseConnection>;

class Client {
 public:
  virtual ~Client() = default;
  /// Null if it could not be had, and why in *error. Blocks.
  [[nodiscard]] virtual Connection open(std::string* error) const = 0;
  virtual void close(void* native) const = 0;
  /// Works on the connection for hold_us; `native` is the client library's handle, as weir's driver
  /// lends it. Empty on success, else what the library or the database said. Blocks.
  [[nodiscard]] virtual std::string serve(void* native, std::uint32_t hold_us) const = 0;
};

inline void CloseConnection::operator()(void* native) const { client->close(native); }

}  // namespace weir::demo
