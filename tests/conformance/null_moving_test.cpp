// What is special about moving a session of the null driver: its server does not come along.
#include <unistd.h>

#include "conformance/null_suite.h"
#include "support/courier.h"
#include "support/worker_process.h"

namespace weir::test {
namespace {

class NullMoving : public NullSuite {};

}  // namespace

TEST_P(NullMoving, GoesOnInAnotherProcessWithNumberNameAndVariables) {
  Courier courier;
  const Dsn dsn = parse(subject().dsn());
  const weir_conn_options_t options = options_of(WEIR_RESET_TRANSACTION);
  WorkerProcess worker([&] {
    const std::optional<Parcel> parcel = courier.receive(Courier::End::kChild);
    if (!parcel) return 1;
    auto connection = Connection::import_session(dsn, options, parcel->descriptor, parcel->bytes);
    if (!connection.ok()) return 2;
    if (null_answer(connection.value().native(), "GET color") != "blue") return 3;
    if (subject().count_sessions() != 1) return 4;
    null_answer(connection.value().native(), "SET color = green");
    const auto blob = connection.value().export_session();
    if (!blob.ok()) return 5;
    if (!courier.send(Courier::End::kChild, connection.value().fd(), blob.value())) return 6;
    connection.value().abandon();
    return subject().count_sessions() == 0 ? 0 : 7;
  });
  Connection connection = connect_to(dsn, WEIR_RESET_TRANSACTION);
  null_answer(connection.native(), "SET color = blue");
  const std::int64_t session = subject().session_of(connection.native());
  const std::string blob = exported(connection);
  ASSERT_TRUE(courier.send(Courier::End::kParent, connection.fd(), blob));
  connection.abandon();
  EXPECT_EQ(subject().count_sessions(), 0);

  const std::optional<Parcel> parcel = courier.receive(Courier::End::kParent);
  EXPECT_EQ(worker.wait_at_most(), 0);
  ASSERT_TRUE(parcel);
  auto back = Connection::import_session(dsn, options, parcel->descriptor, parcel->bytes);
  ASSERT_TRUE(back.ok()) << heard(back.status()).to_string();
  EXPECT_EQ(subject().session_of(back.value().native()), session);
  EXPECT_EQ(subject().client_name_of(session), "conformance");
  EXPECT_EQ(null_answer(back.value().native(), "GET color"), "green");
  EXPECT_EQ(subject().count_sessions(), 1);
}

TEST_P(NullMoving, RefusesToExportOrFailsToImportAsTheDsnSays) {
  const Dsn& dsn = scripted("export=fail@1,fail:would_block:not%20now@2&import=fail@1");
  Connection connection = connect_to(dsn);
  EXPECT_EQ(export_refusal(connection).code(), Code::kNotSupported);
  const Status later = export_refusal(connection);
  EXPECT_EQ(later.code(), Code::kWouldBlock);
  EXPECT_NE(later.message().find("not now"), std::string::npos) << later.to_string();
  EXPECT_TRUE(subject().query(connection.native()));
  const std::string blob = exported(connection);
  const int copy = dup(connection.fd());
  EXPECT_EQ(import_refusal(dsn, copy, blob).code(), Code::kConnectionBroken);
  connection.abandon();
  auto arrived = Connection::import_session(dsn, options_of(WEIR_RESET_TRACKED), copy, blob);
  ASSERT_TRUE(arrived.ok()) << heard(arrived.status()).to_string();
  EXPECT_TRUE(subject().query(arrived.value().native()));
}

TEST_P(NullMoving, DoesNotWaitSoItsScriptsCannotEither) {
  for (const char* const script : {"export=delay:1ms", "import=hang", "export=ok,drop@2"}) {
    const auto refused = Dsn::parse(driver(), null().dsn_with(script));
    ASSERT_FALSE(refused.ok()) << script;
    EXPECT_NE(refused.status().message().find("ok or fail"), std::string::npos)
        << refused.status().to_string();
  }
}

TEST_P(NullMoving, SaysNotNowWhileItsServerSaidSomethingUnasked) {
  Connection connection = connect();
  NullUnderTest::client().send_unasked(null().server().c_str(),
                                       subject().session_of(connection.native()));
  EXPECT_EQ(export_refusal(connection).code(), Code::kWouldBlock);
}

INSTANTIATE_TEST_SUITE_P(Null, NullMoving, testing::Values(&NullUnderTest::make));

}  // namespace weir::test
