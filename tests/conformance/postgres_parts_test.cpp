// The postgres driver's parts that decide something from bytes or text, one by one, without a
// server.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstddef>
#include <cstring>

#include "plugins/postgres/dsn.h"
#include "plugins/postgres/failure.h"
#include "plugins/postgres/key_trace.h"
#include "plugins/postgres/session_blob.h"
#include "plugins/postgres/shell.h"
#include "plugins/postgres/tags.h"
#include "plugins/postgres/token.h"

namespace weir::postgres {
namespace {

ServerAddress unix_address(const char* path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strcpy(address.sun_path, path);
  ServerAddress found;
  found.size =
      static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + std::strlen(address.sun_path) + 1);
  std::memcpy(&found.storage, &address, sizeof address);
  return found;
}

SessionToken token_of_a_unix_server() {
  SessionToken token;
  token.pid = 4123;
  token.cancel_key = 0xfeedbeef;
  token.address = unix_address("/run/postgresql/.s.PGSQL.5432");
  return token;
}

SessionBlob blob_of_a_session() {
  SessionBlob blob;
  blob.server_identity = "postgres:/run/postgresql:5432";
  blob.fingerprint = 0x1234'5678'9abc'def0;
  blob.reset_mode = WEIR_RESET_ALWAYS;
  blob.statement_timeout_ms = 30'000;
  blob.session = token_of_a_unix_server();
  blob.host = "/run/postgresql";
  blob.parameters = {{"server_version", "15.4"}, {"client_encoding", "UTF8"}, {"search_path", ""}};
  return blob;
}

/// What `blob` is refused for; WEIR_OK if it is not.
Failure refusal_of(const SessionBlob& blob) {
  SessionBlob read;
  Failure failure;
  return SessionBlob::from_bytes(blob.to_bytes(), &read, &failure) ? Failure{} : failure;
}

}  // namespace

TEST(PostgresTags, CountAnUnknownTagAsATrace) {
  EXPECT_TRUE(may_leave_traces(PGRES_COMMAND_OK, "FROBNICATE"));
  EXPECT_TRUE(may_leave_traces(PGRES_COMMAND_OK, ""));
  EXPECT_TRUE(may_leave_traces(PGRES_TUPLES_OK, "SELECTED 1"));
  EXPECT_TRUE(may_leave_traces(PGRES_BAD_RESPONSE, "SELECT 1"));
}

TEST(PostgresTags, TellASelectWithRowsFromOneThatMadeATable) {
  EXPECT_FALSE(may_leave_traces(PGRES_TUPLES_OK, "SELECT 3"));
  EXPECT_TRUE(may_leave_traces(PGRES_COMMAND_OK, "SELECT 3"));
}

TEST(PostgresToken, SurvivesTheWayThroughBytes) {
  const SessionToken token = token_of_a_unix_server();
  const auto back = SessionToken::from_bytes(token.to_bytes());
  ASSERT_TRUE(back);
  EXPECT_EQ(back->pid, token.pid);
  EXPECT_EQ(back->cancel_key, token.cancel_key);
  EXPECT_EQ(back->connected_ns, token.connected_ns);
  EXPECT_EQ(back->address, token.address);
}

TEST(PostgresToken, KnowsThatThereIsNoKey) {
  SessionToken token = token_of_a_unix_server();
  token.cancel_key.reset();
  const auto back = SessionToken::from_bytes(token.to_bytes());
  ASSERT_TRUE(back);
  EXPECT_FALSE(back->cancel_key);
}

TEST(PostgresToken, IsRefusedUnlessEveryFieldIsRight) {
  const weir_token_t good = token_of_a_unix_server().to_bytes();
  for (std::uint32_t size = 0; size <= WEIR_TOKEN_MAX + 1; ++size) {
    weir_token_t other = good;
    other.size = size;
    EXPECT_EQ(SessionToken::from_bytes(other).has_value(), size == good.size) << size;
  }
  // Magic, version, has_key, length and family of the address.
  for (const std::size_t at : {0U, 1U, 2U, 3U, 12U, 13U, 22U, 23U}) {
    weir_token_t other = good;
    other.bytes[at] ^= 0xff;
    EXPECT_FALSE(SessionToken::from_bytes(other)) << at;
  }
}

TEST(PostgresKeyTrace, ReadsTheKeyFromItsLineOnly) {
  const auto key = parse_key_line("B\t12\tBackendKeyData\t 4123 -559038737");
  ASSERT_TRUE(key);
  EXPECT_EQ(key->pid, 4123);
  EXPECT_EQ(key->key, 0xdeadbeef);
  for (const char* const line :
       {"", "B\t12\tBackendKeyData\t", "B\t12\tBackendKeyData\t 1", "B\t12\tBackendKeyData\t 1 2 3",
        "F\t12\tBackendKeyData\t 1 2", "B\t5\tReadyForQuery\t I",
        "B\t12\tBackendKeyData\t NNNN NNNN", "B\t12\tBackendKeyData\t 1 99999999999",
        "2026-01-01\tB\t12\tBackendKeyData\t 1 2"}) {
    EXPECT_FALSE(parse_key_line(line)) << line;
  }
}

TEST(PostgresKeyTrace, ReadsTheNamesOfReportedParameters) {
  EXPECT_EQ(parse_parameter_line("B\t22\tParameterStatus\t \"TimeZone\" \"Etc/UTC\""), "TimeZone");
  EXPECT_EQ(parse_parameter_line("B\t1022\tParameterStatus\t \"search_path\" \"cut of"),
            "search_path");
  for (const char* const line :
       {"", "B\t", "B\t22\tParameterStatus\t \"Time", "F\t22\tParameterStatus\t \"a\" \"b\"",
        "B\t22\tNoticeResponse\t \"a\"", "\"a\" B\t22\tParameterStatus\t \"a\""}) {
    EXPECT_EQ(parse_parameter_line(line), "") << line;
  }
}

TEST(PostgresBlob, SurvivesTheWayThroughBytes) {
  const SessionBlob blob = blob_of_a_session();
  SessionBlob back;
  Failure failure;
  ASSERT_TRUE(SessionBlob::from_bytes(blob.to_bytes(), &back, &failure)) << failure.message;
  EXPECT_EQ(back.to_bytes(), blob.to_bytes());
  EXPECT_EQ(back.server_identity, blob.server_identity);
  EXPECT_EQ(back.fingerprint, blob.fingerprint);
  EXPECT_EQ(back.reset_mode, blob.reset_mode);
  EXPECT_EQ(back.statement_timeout_ms, blob.statement_timeout_ms);
  EXPECT_EQ(back.session.cancel_key, blob.session.cancel_key);
  EXPECT_EQ(back.session.address, blob.session.address);
  EXPECT_EQ(back.host, blob.host);
  ASSERT_NE(back.parameter("search_path"), nullptr);
  EXPECT_EQ(*back.parameter("search_path"), "");
  EXPECT_EQ(back.parameter("TimeZone"), nullptr);
}

TEST(PostgresBlob, IsRefusedForEachFieldThatIsWrongThoughItsChecksumIsRight) {
  ASSERT_EQ(refusal_of(blob_of_a_session()).code, WEIR_OK);
  const auto expect_refused = [](const char* names, auto change) {
    SessionBlob blob = blob_of_a_session();
    change(blob);
    const Failure failure = refusal_of(blob);
    EXPECT_EQ(failure.code, WEIR_BAD_ARGUMENT) << names;
    EXPECT_NE(failure.message.find(names), std::string::npos) << failure.message;
  };
  expect_refused("identity", [](SessionBlob& blob) { blob.server_identity.resize(256, 'x'); });
  expect_refused("identity", [](SessionBlob& blob) { blob.server_identity[3] = '\0'; });
  expect_refused("reset mode", [](SessionBlob& blob) { blob.reset_mode = -1; });
  expect_refused("reset mode", [](SessionBlob& blob) { blob.reset_mode = 3; });
  expect_refused("token", [](SessionBlob& blob) { blob.session.pid = 0; });
  expect_refused("token", [](SessionBlob& blob) { blob.session.cancel_key.reset(); });
  expect_refused("token", [](SessionBlob& blob) { blob.session.address.storage.ss_family = 77; });
  expect_refused("token", [](SessionBlob& blob) { blob.session.address.size = 1; });
  expect_refused("host", [](SessionBlob& blob) { blob.host.resize(1025, 'h'); });
  expect_refused("parameters", [](SessionBlob& blob) { blob.parameters[2].name = ""; });
  expect_refused("parameters", [](SessionBlob& blob) { blob.parameters[2].name.resize(64, 'n'); });
  expect_refused("parameters",
                 [](SessionBlob& blob) { blob.parameters[2].value.resize(1025, 'v'); });
  expect_refused("parameters", [](SessionBlob& blob) { blob.parameters.resize(65, {"n", ""}); });
  expect_refused("version", [](SessionBlob& blob) { blob.parameters[0].name = "other"; });
  expect_refused("encoding", [](SessionBlob& blob) { blob.parameters[1].name = "other"; });
}

TEST(PostgresBlob, SaysWhoseItIsBeforeAnythingElse) {
  SessionBlob read;
  Failure failure;
  std::string other = blob_of_a_session().to_bytes();
  other.replace(10, 8, "postgrex");
  EXPECT_FALSE(SessionBlob::from_bytes(other, &read, &failure));
  EXPECT_EQ(failure.code, WEIR_NOT_SUPPORTED);
  EXPECT_FALSE(SessionBlob::from_bytes("", &read, &failure));
  EXPECT_EQ(failure.code, WEIR_BAD_ARGUMENT);
}

TEST(PostgresShell, DialsNoAddressThatLibpqWouldReadAsSomethingElse) {
  Dsn dsn;
  Failure failure;
  ASSERT_TRUE(Dsn::parse("host=/run/postgresql", &dsn, &failure)) << failure.message;
  for (const char* const path : {"/a,/b/.s.PGSQL.5432", "/a/.s.PGSQL.5432,5433", "/a/.s.PGSQL.",
                                 "/a/.s.PGSQL.543210", "/a/postgres.sock"}) {
    SessionBlob blob = blob_of_a_session();
    blob.session.address = unix_address(path);
    const Shell shell = make_shell(dsn, blob, &failure);
    EXPECT_EQ(shell.conn, nullptr) << path;
    EXPECT_EQ(failure.code, WEIR_BAD_ARGUMENT) << path << ": " << failure.message;
  }
}

TEST(PostgresFailure, FindsTheSqlstateOfAConnectionInAnyLanguage) {
  const Failure english = connect_failure(
      "connection to server on socket \"/s\" failed: FATAL:  53300: sorry, too many clients "
      "already\n"
      "LOCATION:  InitProcess, proc.c:356\n",
      false);
  EXPECT_EQ(english.code, WEIR_SERVER_FULL);
  EXPECT_EQ(english.sqlstate, "53300");
  EXPECT_EQ(
      english.message,
      "connection to server on socket \"/s\" failed: FATAL:  sorry, too many clients already");
  const Failure german = connect_failure(
      "Verbindung fehlgeschlagen: SCHWERWIEGEND:  28P01: Anmeldung fehlgeschlagen\n"
      "TIP:  Siehe Log.\n"
      "ORT:  auth_failed, auth.c:331\n",
      false);
  EXPECT_EQ(german.code, WEIR_AUTH_FAILED);
  EXPECT_EQ(
      german.message,
      "Verbindung fehlgeschlagen: SCHWERWIEGEND:  Anmeldung fehlgeschlagen; TIP:  Siehe Log.");
}

TEST(PostgresFailure, CountsAServerThatStartsAsOneThatCannotBeReached) {
  const Failure failure =
      connect_failure("FATAL:  57P03: the database system is starting up", false);
  EXPECT_EQ(failure.code, WEIR_CONNECT_FAILED);
  EXPECT_EQ(failure.sqlstate, "57P03");
}

TEST(PostgresFailure, TakesTheLastHostsReason) {
  const Failure failure = connect_failure(
      "connection to server at \"a\" failed: Connection refused\n\tIs the server running?\n"
      "connection to server at \"b\" failed: FATAL:  28000: no pg_hba.conf entry\n",
      false);
  EXPECT_EQ(failure.code, WEIR_AUTH_FAILED);
}

TEST(PostgresFailure, CountsAMissingPasswordAsAnAuthenticationFailure) {
  EXPECT_EQ(connect_failure("fe_sendauth: no password supplied\n", true).code, WEIR_AUTH_FAILED);
  EXPECT_EQ(connect_failure("timeout\n", false).code, WEIR_CONNECT_FAILED);
}

TEST(PostgresFailure, WritesNothingPastTheHostsError) {
  struct {
    weir_error_t error;
    char behind[8];
  } memory;
  for (const std::size_t size : {sizeof(weir_error_t), offsetof(weir_error_t, message) + 4,
                                 offsetof(weir_error_t, message), std::size_t{8}}) {
    std::memset(&memory, 0x5a, sizeof memory);
    memory.error.struct_size = static_cast<std::uint32_t>(size);
    EXPECT_EQ(report({WEIR_TIMEOUT, std::string(2000, 'm'), "57014"}, &memory.error), WEIR_TIMEOUT);
    const auto* const bytes = reinterpret_cast<const char*>(&memory);
    for (std::size_t i = size; i < sizeof memory; ++i)
      ASSERT_EQ(bytes[i], 0x5a) << size << " " << i;
    EXPECT_EQ(memory.error.code, WEIR_TIMEOUT);
    if (size > offsetof(weir_error_t, message)) {
      EXPECT_EQ(bytes[size - 1], '\0');
    }
  }
  EXPECT_EQ(report({WEIR_TIMEOUT, "", ""}, nullptr), WEIR_TIMEOUT);
}

}  // namespace weir::postgres
