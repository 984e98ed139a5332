// What a driver says of a DSN, or against it.
#include "conformance/suite.h"

namespace weir::test {

TEST_P(DriverSuite, RefusesABadDsnAndNamesWhatIsWrong) {
  WEIR_NEEDS(Means::kBadDsns);
  for (const auto& bad : subject().bad_dsns()) {
    const auto dsn = Dsn::parse(driver(), bad.text);
    ASSERT_FALSE(dsn.ok()) << bad.text;
    const Status status = heard(dsn.status());
    EXPECT_EQ(status.code(), Code::kBadConfig) << bad.text;
    EXPECT_NE(status.message().find(bad.names), std::string::npos) << status.message();
  }
}

TEST_P(DriverSuite, ShowsADsnWithoutItsSecrets) {
  const Dsn dsn = parse(subject().dsn());
  EXPECT_FALSE(dsn.display().empty());
  WEIR_NEEDS(Means::kSecret);
  EXPECT_EQ(dsn.display().find(subject().secret()), std::string::npos);
  EXPECT_EQ(dsn.server_identity().find(subject().secret()), std::string::npos);
}

TEST_P(DriverSuite, NamesTheDriverInTheServersIdentity) {
  EXPECT_TRUE(parse(subject().dsn()).server_identity().starts_with(subject().name() + ":"));
}

TEST_P(DriverSuite, GivesTheSameFingerprintWhateverTheSecret) {
  WEIR_NEEDS(Means::kWrongSecretDsn);
  const Dsn one = parse(subject().dsn());
  const Dsn other = parse(subject().same_server_other_secret_dsn());
  EXPECT_EQ(one.fingerprint(), other.fingerprint());
  EXPECT_EQ(one.server_identity(), other.server_identity());
}

TEST_P(DriverSuite, TellsSessionsOfOneServerApartByFingerprint) {
  WEIR_NEEDS(Means::kOtherSessionDsn);
  const Dsn one = parse(subject().dsn());
  const Dsn other = parse(subject().same_server_other_session_dsn());
  EXPECT_NE(one.fingerprint(), other.fingerprint());
  EXPECT_EQ(one.server_identity(), other.server_identity());
}

TEST_P(DriverSuite, TellsServersApartByIdentity) {
  WEIR_NEEDS(Means::kOtherServers);
  EXPECT_NE(parse(subject().dsn_at_tcp(1)).server_identity(),
            parse(subject().dsn_at_tcp(2)).server_identity());
}

}  // namespace weir::test
