// The redis driver's parts, without a server.
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "plugins/redis/dsn.h"
#include "plugins/redis/failure.h"
#include "plugins/redis/handshake.h"
#include "plugins/redis/lease_watch.h"
#include "plugins/redis/marker.h"
#include "plugins/redis/reply.h"
#include "plugins/redis/server_answers.h"
#include "plugins/redis/session_blob.h"
#include "plugins/redis/talks.h"
#include "plugins/redis/token.h"
#include "support/temp_folder.h"

namespace weir::redis {
namespace {

constexpr std::uint64_t kSecondNs = 1'000'000'000;

Dsn parsed(const std::string& text) {
  Dsn dsn;
  Failure failure;
  EXPECT_TRUE(Dsn::parse(text.c_str(), &dsn, &failure)) << text << ": " << failure.message;
  return dsn;
}

/// The server's answer, as hiredis reads it.
ReplyPtr reply_of(const std::string& wire) {
  const ReaderPtr reader(redisReaderCreate());
  void* reply = nullptr;
  EXPECT_EQ(redisReaderFeed(reader.get(), wire.data(), wire.size()), REDIS_OK);
  EXPECT_EQ(redisReaderGetReply(reader.get(), &reply), REDIS_OK);
  return ReplyPtr(static_cast<redisReply*>(reply));
}

ReplyPtr text_reply(const std::string& text) {
  return reply_of("$" + std::to_string(text.size()) + "\r\n" + text + "\r\n");
}

SessionToken a_token() {
  return {"redis:localhost:6379", std::string(40, 'a'), 1234, 100 * kSecondNs};
}

}  // namespace

// ---- DSN ----------------------------------------------------------------------------------------

TEST(RedisDsn, FillsInWhatRedisPyWould) {
  for (const char* const text : {"redis://", "redis://localhost", "redis://LOCALHOST:6379/",
                                 "redis://localhost/0", "redis://?db=0", "redis://@localhost"}) {
    const Dsn dsn = parsed(text);
    EXPECT_EQ(dsn.display(), "redis://localhost:6379/0") << text;
    EXPECT_EQ(dsn.server_identity(), "redis:localhost:6379") << text;
    EXPECT_FALSE(dsn.password().has_value()) << text;
  }
}

TEST(RedisDsn, ReadsEachPart) {
  const Dsn dsn = parsed("redis://us%65r:p%40ss%3a%2f@[::1]:7000/5?client_name=web%2D1&protocol=2");
  EXPECT_EQ(dsn.user(), "user");
  EXPECT_EQ(dsn.password(), "p@ss:/");
  EXPECT_EQ(dsn.host(), "::1");
  EXPECT_EQ(dsn.port(), 7000);
  EXPECT_EQ(dsn.db(), 5);
  EXPECT_EQ(dsn.client_name(), "web-1");
  EXPECT_EQ(dsn.display(), "redis://user@[::1]:7000/5?client_name=web-1");
  EXPECT_EQ(dsn.server_identity(), "redis:[::1]:7000");
}

TEST(RedisDsn, ReadsUnixSockets) {
  const Dsn dsn = parsed("unix://:secret@/run/no%20such/../redis.sock?db=2&username=app");
  EXPECT_EQ(dsn.path(), "/run/no such/../redis.sock");
  EXPECT_EQ(dsn.password(), "secret");
  EXPECT_EQ(dsn.user(), "app");
  EXPECT_EQ(dsn.db(), 2);
  EXPECT_EQ(dsn.server_identity(), "redis:/run/redis.sock");
  EXPECT_EQ(parsed(dsn.display()).fingerprint(), dsn.fingerprint());
}

TEST(RedisDsn, NamesASocketTheSameBeforeItIsThere) {
  const test::TempFolder folder("weir-redis-dsn-");
  const auto real = folder.path() / "real";
  std::filesystem::create_directory(real);
  std::filesystem::create_directory_symlink(real, folder.path() / "link");
  const std::string text = "unix://" + (folder.path() / "link" / "redis.sock").string();
  const std::string before = parsed(text).server_identity();
  EXPECT_EQ(before, "redis:" + (std::filesystem::canonical(real) / "redis.sock").string());
  std::ofstream(real / "redis.sock") << "there";
  EXPECT_EQ(parsed(text).server_identity(), before);
}

TEST(RedisDsn, TellsAnEmptyPasswordFromNone) {
  EXPECT_EQ(parsed("redis://user:@host").password(), "");
  EXPECT_EQ(parsed("redis://user@host").password(), std::nullopt);
}

TEST(RedisDsn, HasOneFingerprintForOneKindOfSession) {
  EXPECT_EQ(parsed("redis://h/1").fingerprint(), parsed("redis://default@h?db=1").fingerprint());
  EXPECT_EQ(parsed("redis://:a@h").fingerprint(), parsed("redis://:b@h").fingerprint());
  EXPECT_NE(parsed("redis://h/1").fingerprint(), parsed("redis://h/2").fingerprint());
  EXPECT_NE(parsed("redis://h").fingerprint(), parsed("redis://u@h").fingerprint());
  EXPECT_NE(parsed("redis://h").fingerprint(), parsed("redis://h?client_name=x").fingerprint());
}

// ---- tokens and blobs ---------------------------------------------------------------------------

TEST(RedisToken, ComesBackFromItsBytes) {
  SessionToken token = a_token();
  EXPECT_EQ(SessionToken::from_bytes(token.to_bytes()), token);
  token.server_identity.assign(sizeof(weir_dsn_info_t::server_identity) - 1, 'x');
  EXPECT_EQ(SessionToken::from_bytes(token.to_bytes()), token);
}

TEST(RedisToken, IsNotReadFromAnythingElse) {
  const weir_token_t good = a_token().to_bytes();
  for (const std::size_t at : {0U, 1U, 2U, 3U, 4U, 60U}) {
    weir_token_t bad = good;
    bad.bytes[at] = static_cast<std::uint8_t>(bad.bytes[at] ^ 0x80);
    EXPECT_FALSE(SessionToken::from_bytes(bad)) << at;
  }
  weir_token_t nobody = good;
  std::memset(nobody.bytes + 44, 0, 8);
  EXPECT_FALSE(SessionToken::from_bytes(nobody));
  for (std::uint32_t size = 0; size < good.size; ++size) {
    weir_token_t cut = good;
    cut.size = size;
    EXPECT_FALSE(SessionToken::from_bytes(cut)) << size;
  }
}

TEST(RedisBlob, ComesBackFromItsBytes) {
  const SessionBlob blob{.server_identity = "redis:localhost:6379",
                         .fingerprint = 0x0123456789abcdef,
                         .db = 7,
                         .reset_mode = WEIR_RESET_ALWAYS,
                         .has_reset = true,
                         .session = a_token(),
                         .peer = std::string("\x02\0\x18\xeb", 4)};
  SessionBlob read;
  Failure failure;
  ASSERT_TRUE(SessionBlob::from_bytes(blob.to_bytes(), &read, &failure)) << failure.message;
  EXPECT_EQ(read, blob);
}

TEST(RedisBlob, OfAnotherDriverOrVersionIsNotSupported) {
  SessionBlob blob;
  blob.session = a_token();
  blob.server_identity = blob.session.server_identity;
  std::string bytes = blob.to_bytes();
  SessionBlob read;
  Failure failure;
  std::string other = bytes;
  other[8 + 2] = 'R';
  EXPECT_FALSE(SessionBlob::from_bytes(other, &read, &failure));
  EXPECT_EQ(failure.code, WEIR_NOT_SUPPORTED);
  other = bytes;
  other[8 + 2 + 5] = 9;
  EXPECT_FALSE(SessionBlob::from_bytes(other, &read, &failure));
  EXPECT_EQ(failure.code, WEIR_NOT_SUPPORTED);
  EXPECT_NE(failure.message.find("version 9 found, 1 expected"), std::string::npos);
}

// ---- what the client library tells --------------------------------------------------------------

TEST(RedisLeaseWatch, CanWatchTheHiredisThatIsHere) { EXPECT_TRUE(can_watch()); }

TEST(RedisMarker, IsNeverTheSame) {
  EXPECT_EQ(make_marker().size(), 32U);
  EXPECT_NE(make_marker(), make_marker());
}

TEST(RedisCommand, IsBinarySafe) {
  EXPECT_EQ(command({"ECHO", std::string_view("a\r\n\0b", 5)}),
            std::string("*2\r\n$4\r\nECHO\r\n$5\r\na\r\n\0b\r\n", 25));
}

TEST(RedisWords, AreSplitAsRedisCliDoes) {
  std::vector<std::string> words;
  EXPECT_TRUE(split_words(" SET \"a b\\n\" 'c\"d' ", &words));
  EXPECT_EQ(words, (std::vector<std::string>{"SET", "a b\n", "c\"d"}));
  EXPECT_FALSE(split_words("SET \"a", &words));
  EXPECT_FALSE(split_words("SET 'a'b", &words));
}

TEST(RedisNames, HaveOnlyWhatTheServerTakes) {
  EXPECT_EQ(fit_for_redis("weir:auth/main#7"), "weir:auth/main#7");
  EXPECT_EQ(fit_for_redis("two words\n\x7f\xc3\xa4"), "two_words____");
}

TEST(RedisFailure, ShowsNoArgumentsOfACommand) {
  EXPECT_EQ(shown("ERR unknown command 'AUTH', with args beginning with: 'hunter2' "),
            "ERR unknown command 'AUTH'");
  EXPECT_EQ(shown("ERR two\r\nlines"), "ERR two  lines");
  EXPECT_EQ(first_word("WRONGPASS invalid"), "WRONGPASS");
}

// ---- what the server tells ----------------------------------------------------------------------

TEST(RedisKinship, IsToldByRunAndAge) {
  const SessionToken token = a_token();  // connected at 100 s
  const std::uint64_t now = 160 * kSecondNs;
  const std::string other(40, 'b');
  EXPECT_EQ(kinship({token.run_id, 500}, token, now), Kinship::kSameRun);
  // Up since before the session: another server. Since after: the session's, restarted.
  EXPECT_EQ(kinship({other, 500}, token, now), Kinship::kElsewhere);
  EXPECT_EQ(kinship({other, 59}, token, now), Kinship::kElsewhere);  // seconds are rounded
  EXPECT_EQ(kinship({other, 58}, token, now), Kinship::kRestarted);
  EXPECT_EQ(kinship({other, 0}, token, now), Kinship::kRestarted);
  // Who does not say, or a session from the future, proves nothing.
  EXPECT_EQ(kinship({"", 0}, token, now), Kinship::kElsewhere);
  EXPECT_EQ(kinship({other, -1}, token, now), Kinship::kElsewhere);
  EXPECT_EQ(kinship({other, 0}, token, 90 * kSecondNs), Kinship::kElsewhere);
}

TEST(RedisInfo, IsReadLineByLine) {
  const ServerRun run =
      read_run(*text_reply("# Server\r\nredis_version:7.0.15\r\nrun_id:" + std::string(40, 'c') +
                           "\r\nuptime_in_seconds:12\r\n"));
  EXPECT_EQ(run.id, std::string(40, 'c'));
  EXPECT_EQ(run.uptime_s, 12);
  EXPECT_EQ(read_run(*reply_of("-NOPERM no\r\n")).id, "");
  EXPECT_EQ(read_run(*text_reply("run_id:short\r\n")).id, "");
}

TEST(RedisClientList, IsSearchedByNumberAndNotByText) {
  bool is_understood = false;
  const std::string list = "id=12 addr=x name=id=7 flags=N\nid=123 name=\n";
  EXPECT_TRUE(has_client(*text_reply(list), 12, &is_understood));
  EXPECT_TRUE(is_understood);
  EXPECT_FALSE(has_client(*text_reply(list), 7, &is_understood));
  EXPECT_FALSE(has_client(*text_reply(list), 1, &is_understood));
  EXPECT_FALSE(has_client(*text_reply(""), 12, &is_understood));
  EXPECT_TRUE(is_understood);  // nobody is there
  EXPECT_FALSE(has_client(*reply_of("-ERR syntax error\r\n"), 12, &is_understood));
  EXPECT_FALSE(is_understood);
}

TEST(RedisClientList, LeavesReplicasOutOfTheCount) {
  weir_server_activity_t activity{};
  read_activity(
      *text_reply("id=1 idle=0 flags=N cmd=client|list\nid=2 idle=9 flags=S cmd=replconf\n"
                  "id=3 idle=4 flags=b cmd=blpop\nid=4 idle=1 flags=x cmd=set\n"
                  "id=5 idle=1 flags=P cmd=subscribe\n"),
      &activity);
  EXPECT_EQ(activity.total, 4);
  EXPECT_EQ(activity.active, 2);
  EXPECT_EQ(activity.idle_in_transaction, 1);
  EXPECT_EQ(activity.idle, 1);
  EXPECT_EQ(activity.longest_query_ms, 4000);
}

TEST(RedisLimits, ComeFromEitherPlace) {
  weir_server_limits_t limits{};
  limits.struct_size = sizeof limits;
  const ReplyPtr refused = reply_of("-NOPERM no\r\n");
  read_limits(*reply_of("*2\r\n$10\r\nmaxclients\r\n$3\r\n500\r\n"), *refused, &limits);
  EXPECT_EQ(limits.max_connections, 500);
  read_limits(*refused, *text_reply("# Clients\r\nmaxclients:400\r\n"), &limits);
  EXPECT_EQ(limits.max_connections, 400);
  read_limits(*refused, *refused, &limits);
  EXPECT_EQ(limits.max_connections, -1);
  EXPECT_EQ(limits.reserved, -1);
}

}  // namespace weir::redis
