#include "conformance/fake_postgres.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <stdexcept>
#include <utility>

namespace weir::test {
namespace {

void send_all(int fd, const std::string& bytes) {
  for (std::size_t sent = 0; sent < bytes.size();) {
    const ssize_t n = send(fd, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (n <= 0) return;
    sent += static_cast<std::size_t>(n);
  }
}

/// `count` bytes; fewer once the client is gone.
std::string receive(int fd, std::size_t count) {
  std::string bytes(count, '\0');
  std::size_t got = 0;
  while (got < count) {
    const ssize_t n = recv(fd, bytes.data() + got, count - got, 0);
    if (n <= 0) break;
    got += static_cast<std::size_t>(n);
  }
  bytes.resize(got);
  return bytes;
}

/// Reads a length and what follows it. False once the client is gone.
bool receive_body(int fd, std::string* body) {
  const std::string length = receive(fd, 4);
  if (length.size() < 4) return false;
  std::uint32_t size = 0;
  std::memcpy(&size, length.data(), 4);
  *body = receive(fd, ntohl(size) - 4);
  return body->size() == ntohl(size) - 4;
}

}  // namespace

FakePostgres::FakePostgres(Script script)
    : script_(std::move(script)), listener_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = (folder_.path() / ".s.PGSQL.5432").string();
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  if (bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      listen(listener_, 8) != 0) {
    throw std::runtime_error("FakePostgres cannot listen at " + path);
  }
  thread_ = std::thread([this] { serve(); });
}

FakePostgres::~FakePostgres() {
  shutdown(listener_, SHUT_RDWR);  // wakes accept()
  thread_.join();
  close(listener_);
}

std::string FakePostgres::dsn() const {
  return "host=" + folder_.path().string() + " port=5432 user=app dbname=app";
}

void FakePostgres::say(const std::string& messages) { send_all(client_, messages); }

std::string FakePostgres::number(std::int32_t value) {
  const std::uint32_t swapped = htonl(static_cast<std::uint32_t>(value));
  return {reinterpret_cast<const char*>(&swapped), sizeof swapped};
}

std::string FakePostgres::text(std::string_view value) { return std::string(value) + '\0'; }

std::string FakePostgres::message(char type, std::string_view body) {
  return type + number(static_cast<std::int32_t>(body.size() + 4)) + std::string(body);
}

std::string FakePostgres::row(std::initializer_list<std::string_view> fields) {
  const std::string count = number(static_cast<std::int32_t>(fields.size())).substr(2);
  std::string description = count;
  std::string values = count;
  for (const std::string_view field : fields) {
    // Name, table, column, type text, its size, modifier, format text.
    description += text("f") + number(0) + std::string(2, '\0') + number(25) + "\xff\xff" +
                   number(-1) + std::string(2, '\0');
    values += number(static_cast<std::int32_t>(field.size())) + std::string(field);
  }
  return message('T', description) + message('D', values) + message('C', text("SELECT 1")) +
         message('Z', "I");
}

void FakePostgres::serve() {
  for (;;) {
    const int client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (client < 0) return;
    client_ = client;
    talk(client);
    client_ = -1;
    close(client);
  }
}

void FakePostgres::talk(int client) {
  std::string body;
  if (!receive_body(client, &body)) return;        // the startup message has no type
  std::string welcome = message('R', number(0)) +  // AuthenticationOk
                        message('S', text("client_encoding") + text("UTF8"));
  if (script_.key) welcome += message('K', number(script_.pid) + number(*script_.key));
  send_all(client, welcome + message('Z', "I"));
  for (;;) {
    const std::string type = receive(client, 1);
    if (type.empty() || !receive_body(client, &body) || type == "X") return;
    if (type == "Q") send_all(client, script_.answer);
  }
}

}  // namespace weir::test
