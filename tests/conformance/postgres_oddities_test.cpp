// Servers, and what stands before them, that do what PostgreSQL itself does not.
#include "conformance/fake_postgres.h"
#include "conformance/postgres_suite.h"

namespace weir::test {
namespace {

std::string error(const char* severity, const char* sqlstate) {
  return FakePostgres::message(
      'E', std::string("S") + FakePostgres::text(severity) + "V" + FakePostgres::text(severity) +
               "C" + FakePostgres::text(sqlstate) + "M" + FakePostgres::text("so it is") + '\0');
}

}  // namespace

class PostgresOddities : public PostgresSuite {};

TEST_P(PostgresOddities, ReportsAMessageThatNobodyAskedFor) {
  FakePostgres server({});
  const Dsn dsn = parse(server.dsn());
  Connection connection = connect_to(dsn);
  EXPECT_EQ(connection.condition(WEIR_LOOK_AT_SOCKET), 0U);
  server.say(FakePostgres::message('D', std::string(2, '\0')));  // a row
  EXPECT_TRUE(eventually(
      [&] { return (connection.condition(WEIR_LOOK_AT_SOCKET) & WEIR_COND_UNEXPECTED) != 0; }));
}

TEST_P(PostgresOddities, ReadsNoticesAndSettingsThatComeAtAnyTime) {
  FakePostgres server({});
  const Dsn dsn = parse(server.dsn());
  Connection connection = connect_to(dsn);
  server.say(FakePostgres::message('N', std::string("SWARNING") + '\0' + "C01000" + '\0' + '\0'));
  server.say(
      FakePostgres::message('S', FakePostgres::text("TimeZone") + FakePostgres::text("UTC")));
  EXPECT_TRUE(eventually([&] {
    EXPECT_EQ(connection.condition(WEIR_LOOK_AT_SOCKET), 0U);
    return PQparameterStatus(pg(connection), "TimeZone") != nullptr;
  }));
}

TEST_P(PostgresOddities, TakesAFarewellForTheEndBeforeTheSocketCloses) {
  FakePostgres server({});
  const Dsn dsn = parse(server.dsn());
  Connection connection = connect_to(dsn);
  server.say(error("FATAL", "57P01"));
  EXPECT_TRUE(eventually(
      [&] { return (connection.condition(WEIR_LOOK_AT_SOCKET) & WEIR_COND_BROKEN) != 0; }));
  EXPECT_EQ(heard(connection.run(WEIR_OP_PING, nullptr, soon())).code(), Code::kConnectionBroken);
}

TEST_P(PostgresOddities, DoesWithoutASessionsName) {
  FakePostgres server({.key = std::nullopt});
  const Dsn dsn = parse(server.dsn());
  Connection connection = connect_to(dsn);
  EXPECT_EQ(connection.condition(WEIR_LOOK_AT_SOCKET), 0U);
  EXPECT_EQ(connection.session_token().size, 0U);
  EXPECT_EQ(heard(connection.cancel(soon())).code(), Code::kNotSupported);
}

TEST_P(PostgresOddities, ConfirmsNothingThroughAProxyThatMakesUpSessionIds) {
  // The server behind it has process 5; its clients are told 77.
  FakePostgres server({.pid = 77, .answer = FakePostgres::row({"5", "f"})});
  const Dsn dsn = parse(server.dsn());
  Connection connection = connect_to(dsn);
  const weir_token_t token = connection.session_token();
  weir_confirm_gone_t question{sizeof question, &token, -1};
  EXPECT_EQ(heard(connection.run(WEIR_OP_CONFIRM_GONE, &question, soon())).code(),
            Code::kNotSupported);
  EXPECT_EQ(question.gone, -1);
}

TEST_P(PostgresOddities, NamesASessionByWhateverNumberAProxyMakesUp) {
  FakePostgres server({.pid = -77, .answer = FakePostgres::row({"5", "f"})});
  const Dsn dsn = parse(server.dsn());
  Connection connection = connect_to(dsn);
  const weir_token_t token = connection.session_token();
  EXPECT_GT(token.size, 0U);
  const Status status = export_refusal(connection);  // known by name, but not by its version
  EXPECT_EQ(status.code(), Code::kNotSupported);
  EXPECT_NE(status.message().find("server_version"), std::string::npos) << status.to_string();
  weir_confirm_gone_t question{sizeof question, &token, -1};
  EXPECT_EQ(heard(connection.run(WEIR_OP_CONFIRM_GONE, &question, soon())).code(),
            Code::kNotSupported);
  EXPECT_EQ(question.gone, -1);
}

TEST_P(PostgresOddities, SurvivesAnswersOfAnotherShape) {
  FakePostgres server({.answer = FakePostgres::row({"x"})});
  const Dsn dsn = parse(server.dsn());
  Connection connection = connect_to(dsn);
  weir_server_limits_t limits{};
  limits.struct_size = sizeof limits;
  EXPECT_EQ(heard(connection.run(WEIR_OP_LIMITS, &limits, soon())).code(), Code::kDatabaseError);
}

TEST_P(PostgresOddities, GivesUpAResetThatTheServerRefuses) {
  FakePostgres server({.answer = error("ERROR", "XX000") + FakePostgres::message('Z', "I")});
  const Dsn dsn = parse(server.dsn());
  Connection connection = make(dsn, WEIR_RESET_ALWAYS);
  run(connection, WEIR_OP_CONNECT);
  const Status status = heard(connection.run(WEIR_OP_RESET, nullptr, soon()));
  EXPECT_EQ(status.code(), Code::kDatabaseError);
  EXPECT_EQ(status.native_text(), "XX000");
  EXPECT_NE(connection.condition(WEIR_LOOK_LOCAL) & WEIR_COND_BROKEN, 0U);
}

INSTANTIATE_TEST_SUITE_P(Postgres, PostgresOddities, testing::Values(&PostgresUnderTest::make));

}  // namespace weir::test
