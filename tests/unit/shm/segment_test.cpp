#include "shm/segment.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <boost/crc.hpp>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <thread>

#include "shm/segment_file.h"
#include "shm/snapshot.h"
#include "support/shm_world.h"
#include "support/worker_process.h"

namespace weir::shm {
namespace {

using namespace std::chrono_literals;
using test::kSmallGeometry;
using test::TempFolder;
using ::testing::HasSubstr;

class SegmentFile : public ::testing::Test {
 protected:
  SegmentOptions options() const {
    SegmentOptions options;
    options.folder = folder_.path().string();
    options.geometry = kSmallGeometry;
    options.patience = 50ms;
    return options;
  }
  std::string path() const { return (folder_.path() / "default.weir").string(); }

  std::unique_ptr<Segment> open() const {
    auto segment = Segment::open(options());
    EXPECT_TRUE(segment.ok()) << segment.status().to_string();
    return segment.ok() ? std::move(segment).value() : nullptr;
  }
  /// The status of an open that must fail.
  Status refusal() const {
    const auto segment = Segment::open(options());
    EXPECT_FALSE(segment.ok());
    return segment.status();
  }
  std::uint64_t inode() const {
    struct stat st {};
    return stat(path().c_str(), &st) == 0 ? st.st_ino : 0;
  }
  /// A good segment that nobody is attached to.
  void leave_a_segment() const { ASSERT_NE(open(), nullptr); }
  void write_at(std::size_t offset, const void* bytes, std::size_t size) const {
    const FileDescriptor fd(::open(path().c_str(), O_WRONLY | O_CLOEXEC));
    ASSERT_EQ(pwrite(fd.get(), bytes, size, static_cast<off_t>(offset)),
              static_cast<ssize_t>(size));
  }
  /// Changes the published facts and makes their checksum right again.
  void change_facts(const std::function<void(HeaderFacts&)>& change) const {
    HeaderFacts facts{};
    const FileDescriptor fd(::open(path().c_str(), O_RDONLY | O_CLOEXEC));
    ASSERT_EQ(pread(fd.get(), &facts, sizeof facts, 0), static_cast<ssize_t>(sizeof facts));
    change(facts);
    boost::crc_32_type crc;
    crc.process_bytes(&facts, sizeof facts);
    const std::uint32_t sum = crc.checksum();
    write_at(0, &facts, sizeof facts);
    write_at(offsetof(Header, crc), &sum, sizeof sum);
  }
  /// What is there now is replaced by a good segment.
  void expect_rebuilt() const {
    const std::unique_ptr<Segment> segment = open();
    ASSERT_NE(segment, nullptr);
    EXPECT_TRUE(segment->usable().ok());
    EXPECT_EQ(segment->header().facts.magic, kMagic);
    EXPECT_EQ(segment->geometry(), kSmallGeometry);
    EXPECT_EQ(std::filesystem::file_size(path()), offsets_of(kSmallGeometry).end);
  }
  /// An open that must fail because of `what`, while the file stays as it is.
  void expect_refused(Code code, const std::string& what) const {
    const std::uint64_t before = inode();
    const Status status = refusal();
    EXPECT_EQ(status.code(), code) << status.to_string();
    EXPECT_THAT(status.message(), HasSubstr(what));
    EXPECT_THAT(status.message(), HasSubstr(path()));
    EXPECT_EQ(inode(), before);
  }

  TempFolder folder_{"/dev/shm/weir-test-"};
};

TEST_F(SegmentFile, IsMadeWholeByTheFirstToOpenIt) {
  const std::unique_ptr<Segment> segment = open();
  ASSERT_NE(segment, nullptr);
  EXPECT_EQ(segment->path(), path());
  EXPECT_EQ(segment->geometry(), kSmallGeometry);
  EXPECT_EQ(segment->header().ready.load(), 1u);
  EXPECT_EQ(segment->workers().size(), kSmallGeometry.workers);
  EXPECT_EQ(segment->places().size(), kSmallGeometry.places);
  EXPECT_EQ(segment->stats().size(), kSmallGeometry.workers * kSmallGeometry.stats_per_worker);
  EXPECT_EQ(std::filesystem::file_size(path()), offsets_of(kSmallGeometry).end);
  struct stat st {};
  ASSERT_EQ(stat(path().c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & S_IWOTH, 0u);
  EXPECT_EQ(st.st_nlink, 1u);
  // Nothing but the segment is left in the folder.
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_.path()), {}), 1);
}

TEST_F(SegmentFile, IsOpenedByTheNextWithTheGeometryItHas) {
  const std::unique_ptr<Segment> first = open();
  SegmentOptions other = options();
  other.geometry.workers = 200;
  const auto second = Segment::open(other);
  ASSERT_TRUE(second.ok()) << second.status().to_string();
  EXPECT_EQ(second.value()->geometry(), kSmallGeometry);
  first->workers()[0].beat_ns.store(77);
  EXPECT_EQ(second.value()->workers()[0].beat_ns.load(), 77u);
}

TEST_F(SegmentFile, OutlivesThoseWhoUsedIt) {
  open()->workers()[3].beat_ns.store(77);
  EXPECT_EQ(open()->workers()[3].beat_ns.load(), 77u);
}

TEST_F(SegmentFile, HasATableForEveryRecordAndNoneOverlap) {
  const Offsets o = offsets_of(kSmallGeometry);
  const std::vector<std::size_t> starts = {
      0,         o.workers,    o.waiters,     o.quotas, o.pools,  o.places,
      o.permits, o.place_info, o.pool_totals, o.stats,  o.events, o.end};
  EXPECT_TRUE(std::is_sorted(starts.begin(), starts.end()));
  EXPECT_EQ(o.workers % alignof(WorkerRow), 0u);
  EXPECT_EQ(o.pools % alignof(PoolRow), 0u);
  EXPECT_EQ(o.stats % alignof(StatsRow), 0u);
  EXPECT_GE(o.waiters - o.workers, kSmallGeometry.workers * sizeof(WorkerRow));
  EXPECT_GE(o.permits - o.places, kSmallGeometry.places * sizeof(Word));
  EXPECT_GE(o.pool_totals - o.place_info, kSmallGeometry.places * sizeof(PlaceInfo));
}

TEST_F(SegmentFile, IsAboutTwoMegabytesByDefault) {
  const std::size_t bytes = offsets_of(Geometry{}).end;
  EXPECT_GT(bytes, std::size_t{1} << 20);
  EXPECT_LT(bytes, std::size_t{4} << 20);
}

TEST_F(SegmentFile, RefusesNamesThatAreNoNames) {
  for (const char* name :
       {"", "-a", "_a", "A", "a/b", "..", "a.b", "a b", "a123456789012345678901234567890x"}) {
    SegmentOptions bad = options();
    bad.name = name;
    const auto segment = Segment::open(bad);
    EXPECT_EQ(segment.status().code(), Code::kBadConfig) << name;
    EXPECT_EQ(Segment::open_read_only(bad).status().code(), Code::kBadConfig) << name;
  }
  SegmentOptions good = options();
  good.name = "a-b_9";
  EXPECT_TRUE(Segment::open(good).ok());
}

TEST_F(SegmentFile, RefusesAGeometryThatTheWordsCannotName) {
  SegmentOptions bad = options();
  bad.geometry.places = 16384;
  EXPECT_EQ(Segment::open(bad).status().code(), Code::kBadConfig);
  bad = options();
  bad.geometry.workers = 0;
  EXPECT_EQ(Segment::open(bad).status().code(), Code::kBadConfig);
}

// ---- files that are not fit -------------------------------------------------------------------

TEST_F(SegmentFile, CutOffIsRebuilt) {
  for (const std::size_t size : {std::size_t{20}, sizeof(HeaderFacts), std::size_t{4096},
                                 offsets_of(kSmallGeometry).end - 1}) {
    leave_a_segment();
    std::filesystem::resize_file(path(), size);
    expect_rebuilt();
  }
}

TEST_F(SegmentFile, TooLongIsRebuilt) {
  leave_a_segment();
  std::filesystem::resize_file(path(), offsets_of(kSmallGeometry).end + 4096);
  expect_rebuilt();
}

TEST_F(SegmentFile, WithAnyBitOfItsHeaderFlippedIsNotBelieved) {
  leave_a_segment();
  // Every bit of the facts and of their checksum; the magic says whose file it is and comes below.
  for (std::size_t byte = sizeof(std::uint64_t); byte < sizeof(HeaderFacts) + sizeof(std::uint32_t);
       ++byte) {
    std::uint8_t was = 0;
    {
      const FileDescriptor fd(::open(path().c_str(), O_RDONLY | O_CLOEXEC));
      ASSERT_EQ(pread(fd.get(), &was, 1, static_cast<off_t>(byte)), 1);
    }
    const auto flipped = static_cast<std::uint8_t>(was ^ (1u << (byte % 8)));
    write_at(byte, &flipped, 1);
    EXPECT_EQ(Segment::open_read_only(options()).status().code(), Code::kShmCorrupt) << byte;
    write_at(byte, &was, 1);
  }
  EXPECT_TRUE(Segment::open_read_only(options()).ok());
}

TEST_F(SegmentFile, WithAWrongChecksumIsRebuilt) {
  leave_a_segment();
  const std::uint8_t bit = 0x10;
  write_at(offsetof(HeaderFacts, created_unix_ns), &bit, 1);
  expect_rebuilt();
}

TEST_F(SegmentFile, ThatIsForeignIsNeverReplaced) {
  std::ofstream(path()) << "somebody's letters, longer than a header's magic";
  expect_refused(Code::kShmIncompatible, "not a weir segment");
}

TEST_F(SegmentFile, ThatIsEmptyOrZeroedIsNotTakenForOurs) {
  std::ofstream(path()).flush();
  expect_refused(Code::kShmIncompatible, "not a weir segment");
  std::filesystem::resize_file(path(), offsets_of(kSmallGeometry).end);
  expect_refused(Code::kShmIncompatible, "not a weir segment");
}

TEST_F(SegmentFile, OfAnotherBootIsRebuilt) {
  leave_a_segment();
  change_facts([](HeaderFacts& facts) { facts.boot_id[0] = facts.boot_id[0] == 'x' ? 'y' : 'x'; });
  const auto monitor = Segment::open_read_only(options());
  EXPECT_THAT(monitor.status().message(), HasSubstr("earlier boot"));
  expect_rebuilt();
}

TEST_F(SegmentFile, OfAnotherLayoutIsReplacedWhenNobodyUsesIt) {
  leave_a_segment();
  change_facts([](HeaderFacts& facts) { ++facts.abi_major; });
  EXPECT_EQ(Segment::open_read_only(options()).status().code(), Code::kShmIncompatible);
  expect_rebuilt();
  change_facts([](HeaderFacts& facts) { ++facts.fingerprint; });
  EXPECT_EQ(Segment::open_read_only(options()).status().code(), Code::kShmIncompatible);
  expect_rebuilt();
}

TEST_F(SegmentFile, OfAnotherLayoutIsLeftToThoseWhoUseIt) {
  const std::unique_ptr<Segment> user = open();
  change_facts([](HeaderFacts& facts) { facts.abi_major = 9; });
  expect_refused(Code::kShmIncompatible, "9." + std::to_string(kAbiMinor));
  expect_refused(Code::kShmIncompatible, "stop them first");
}

TEST_F(SegmentFile, WithAnImpossibleGeometryIsRebuilt) {
  leave_a_segment();
  change_facts([](HeaderFacts& facts) { facts.geometry.workers = 1u << 30; });
  EXPECT_EQ(Segment::open_read_only(options()).status().code(), Code::kShmCorrupt);
  expect_rebuilt();
}

TEST_F(SegmentFile, ThatWasNeverFinishedIsRebuilt) {
  leave_a_segment();
  const std::uint32_t not_ready = 0;
  write_at(offsetof(Header, ready), &not_ready, sizeof not_ready);
  expect_rebuilt();
}

// ---- poison ------------------------------------------------------------------------------------

TEST_F(SegmentFile, PoisonedKeepsTheFirstReasonAndSaysHowToGoOn) {
  const std::unique_ptr<Segment> segment = open();
  EXPECT_TRUE(segment->usable().ok());
  segment->poison("a place reads state 13");
  segment->poison("something else");
  EXPECT_TRUE(segment->is_poisoned());
  const Status status = segment->usable();
  EXPECT_EQ(status.code(), Code::kShmCorrupt);
  EXPECT_THAT(status.message(), HasSubstr("a place reads state 13"));
  EXPECT_THAT(status.message(), HasSubstr("stop every worker"));
}

TEST_F(SegmentFile, PoisonedIsRefusedWhileSomebodyUsesItAndRebuiltAfter) {
  std::unique_ptr<Segment> user = open();
  user->poison("a place reads state 13");
  expect_refused(Code::kShmCorrupt, "a place reads state 13");
  user.reset();
  expect_rebuilt();
}

TEST_F(SegmentFile, PoisonedIsStillShownToMonitors) {
  const std::unique_ptr<Segment> user = open();
  user->poison("a place reads state 13");
  const auto monitor = Segment::open_read_only(options());
  ASSERT_TRUE(monitor.ok()) << monitor.status().to_string();
  EXPECT_EQ(take_snapshot(*monitor.value()).poison_reason, "a place reads state 13");
}

TEST_F(SegmentFile, BehindALiveMembershipIsNotRebuilt) {
  std::unique_ptr<Segment> user = open();
  auto worker = Membership::join(*user, "test");
  ASSERT_TRUE(worker.ok());
  user->poison("a place reads state 13");
  // What keeps it now is the membership's own gate lock, as after a closefrom().
  close(user->fd());
  expect_refused(Code::kShmCorrupt, "stop them first");
}

// ---- whose file it is ---------------------------------------------------------------------------

TEST_F(SegmentFile, ThatIsASymbolicLinkIsRefused) {
  leave_a_segment();
  std::filesystem::rename(path(), folder_.path() / "real");
  std::filesystem::create_symlink(folder_.path() / "real", path());
  EXPECT_EQ(refusal().code(), Code::kNoPermission);
  EXPECT_THAT(refusal().message(), HasSubstr("symbolic link"));
  EXPECT_EQ(Segment::open_read_only(options()).status().code(), Code::kNoPermission);
}

TEST_F(SegmentFile, WithAnotherNameElsewhereIsRefused) {
  leave_a_segment();
  std::filesystem::create_hard_link(path(), folder_.path() / "copy");
  expect_refused(Code::kNoPermission, "hard links");
}

TEST_F(SegmentFile, ThatEverybodyMayWriteIsRefused) {
  leave_a_segment();
  ASSERT_EQ(chmod(path().c_str(), 0666), 0);
  expect_refused(Code::kNoPermission, "writable by everybody");
}

TEST_F(SegmentFile, ThatBelongsToSomebodyElseIsRefused) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can give a file away";
  leave_a_segment();
  ASSERT_EQ(chown(path().c_str(), 12345, 12345), 0);
  expect_refused(Code::kNoPermission, "owned by user 12345");
}

TEST_F(SegmentFile, IsSharedByTheMembersOfAGroupInAFolderOfRoots) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can make such a folder";
  constexpr gid_t kGroup = 12345;
  ASSERT_EQ(chown(folder_.path().c_str(), 0, kGroup), 0);
  ASSERT_EQ(chmod(folder_.path().c_str(), 02770), 0);
  const auto opens_as = [&](uid_t user) {
    return test::WorkerProcess([&, user] {
             umask(077);  // what a careful service has
             if (setgroups(0, nullptr) != 0 || setgid(kGroup) != 0 || setuid(user) != 0) return 2;
             const auto segment = Segment::open(options());
             if (!segment.ok()) std::fprintf(stderr, "%s\n", segment.status().message().c_str());
             return segment.ok() ? 0 : 1;
           })
        .wait();
  };
  EXPECT_EQ(opens_as(20001), 0);
  const std::uint64_t first = inode();
  EXPECT_EQ(opens_as(20002), 0);
  EXPECT_EQ(inode(), first);
  // One that came from outside the group is not believed.
  ASSERT_EQ(chown(path().c_str(), 20001, 54321), 0);
  expect_refused(Code::kNoPermission, "owned by user 20001");
}

TEST_F(SegmentFile, ThatIsNoFileIsRefused) {
  std::filesystem::create_directory(path());
  EXPECT_FALSE(Segment::open(options()).ok());
  EXPECT_FALSE(Segment::open_read_only(options()).ok());
  std::filesystem::remove(path());
  ASSERT_EQ(mkfifo(path().c_str(), 0600), 0);
  expect_refused(Code::kNoPermission, "not a regular file");
  EXPECT_FALSE(Segment::open_read_only(options()).ok());  // and does not wait for a writer
}

TEST_F(SegmentFile, LivesInAFolderThatOthersCannotWrite) {
  ASSERT_EQ(chmod(folder_.path().c_str(), 0777), 0);
  EXPECT_EQ(refusal().code(), Code::kNoPermission);
  EXPECT_THAT(refusal().message(), HasSubstr("writable by everybody"));
  SegmentOptions link = options();
  link.folder = (folder_.path() / "link").string();
  std::filesystem::create_directory_symlink(folder_.path(), link.folder);
  EXPECT_EQ(Segment::open(link).status().code(), Code::kNoPermission);
}

TEST_F(SegmentFile, MakesItsFolderWhenItIsMissing) {
  SegmentOptions deeper = options();
  deeper.folder = (folder_.path() / "new").string();
  EXPECT_TRUE(Segment::open(deeper).ok());
  struct stat st {};
  ASSERT_EQ(stat(deeper.folder.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0700u);
}

// ---- monitors, descriptors ----------------------------------------------------------------------

TEST_F(SegmentFile, ThatIsNotThereIsNotMadeByAMonitor) {
  EXPECT_EQ(Segment::open_read_only(options()).status().code(), Code::kNotFound);
  EXPECT_FALSE(std::filesystem::exists(path()));
}

TEST_F(SegmentFile, DoesNotNoticeAMonitor) {
  leave_a_segment();
  const auto monitor = Segment::open_read_only(options());
  ASSERT_TRUE(monitor.ok());
  // No lock: it can be replaced under a monitor's eyes, which keeps what it saw.
  const std::uint32_t poisoned = 1;
  write_at(offsetof(Header, poisoned), &poisoned, sizeof poisoned);
  expect_rebuilt();
  EXPECT_TRUE(monitor.value()->is_poisoned());
}

TEST_F(SegmentFile, FindsItsDescriptorAgainAfterItBecameAnotherFile) {
  const std::unique_ptr<Segment> segment = open();
  const int was = segment->fd();
  const int other = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  ASSERT_EQ(dup2(other, was), was);
  EXPECT_TRUE(segment->make_intact());
  EXPECT_NE(segment->fd(), was);
  struct stat mine {
  }, by_path{};
  ASSERT_EQ(fstat(segment->fd(), &mine), 0);
  ASSERT_EQ(stat(path().c_str(), &by_path), 0);
  EXPECT_EQ(mine.st_ino, by_path.st_ino);
  close(was);
  close(other);
}

TEST_F(SegmentFile, FindsItsDescriptorAgainOnceThoughManyLookForIt) {
  const auto count_descriptors = [] {
    const std::filesystem::directory_iterator all("/proc/self/fd");
    return std::distance(begin(all), end(all));
  };
  const FileDescriptor other(::open("/dev/null", O_RDWR | O_CLOEXEC));
  for (int round = 0; round < 100; ++round) {
    const std::unique_ptr<Segment> segment = open();
    const FileDescriptor was(segment->fd());
    ASSERT_EQ(dup2(other.get(), was.get()), was.get());
    const auto before = count_descriptors();
    std::atomic<int> ready{0}, found{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        ++ready;
        while (ready < 4) {
        }
        found += segment->make_intact() ? 1 : 0;
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(found, 4);
    ASSERT_EQ(count_descriptors(), before + 1) << "in round " << round;
  }
}

TEST_F(SegmentFile, ReopensItselfAndNothingElse) {
  const std::unique_ptr<Segment> segment = open();
  const FileDescriptor other(::open("/dev/null", O_RDWR | O_CLOEXEC));
  const int was = segment->fd();
  ASSERT_EQ(dup2(other.get(), was), was);
  const FileDescriptor again(segment->reopen());
  struct stat mine {
  }, by_path{};
  ASSERT_EQ(fstat(again.get(), &mine), 0);
  ASSERT_EQ(stat(path().c_str(), &by_path), 0);
  EXPECT_EQ(mine.st_ino, by_path.st_ino);
  close(was);
}

TEST_F(SegmentFile, LeavesADescriptorAloneThatIsNotItsOwnAnyMore) {
  const FileDescriptor other(::open("/dev/null", O_RDWR | O_CLOEXEC));
  std::unique_ptr<Segment> segment = open();
  const int was = segment->fd();
  ASSERT_EQ(dup2(other.get(), was), was);
  segment.reset();
  EXPECT_GE(fcntl(was, F_GETFD), 0);
  close(was);
}

TEST_F(SegmentFile, IsNotInheritedByWhatAWorkerExecutes) {
  const std::unique_ptr<Segment> segment = open();
  EXPECT_EQ(fcntl(segment->fd(), F_GETFD), FD_CLOEXEC);
  const FileDescriptor again(segment->reopen());
  EXPECT_EQ(fcntl(again.get(), F_GETFD), FD_CLOEXEC);
}

// ---- text in words
// -------------------------------------------------------------------------------

TEST(Text, KeepsWhatFitsAndCutsTheRest) {
  Text<16> text{};
  text.store("short");
  EXPECT_EQ(text.load(), "short");
  text.store("exactly fifteen and more");
  EXPECT_EQ(text.load(), "exactly fifteen");
  text.store("");
  EXPECT_EQ(text.load(), "");
}

TEST(PlaceInfo, KeepsATokenOfAnyBytesUpToItsLimit) {
  PlaceInfo info{};
  const std::string token("pid\0key", 7);
  info.store_token(token);
  EXPECT_EQ(info.load_token(), token);
  info.store_token(std::string(400, 'x'));
  EXPECT_EQ(info.load_token(), std::string(kTokenBytes, 'x'));
  info.store_token("");
  EXPECT_EQ(info.load_token(), "");
}

}  // namespace
}  // namespace weir::shm
