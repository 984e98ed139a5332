#include "shm/mailbox.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <filesystem>
#include <vector>

#include "support/shm_world.h"
#include "support/socket_pair.h"

namespace weir::shm {
namespace {

using test::ShmWorld;
using test::SocketPair;

Letter letter_of(std::uint32_t place, const std::string& blob = "session") {
  Letter letter;
  letter.place = place;
  letter.occ = 7;
  letter.fingerprint = 0x123456789abcdef0;
  letter.began_ns = 42;
  letter.session = {"fake", blob};
  return letter;
}

bool are_same(const Letter& a, const Letter& b) {
  return a.place == b.place && a.occ == b.occ && a.fingerprint == b.fingerprint &&
         a.began_ns == b.began_ns && a.session.driver == b.session.driver &&
         a.session.blob == b.session.blob;
}

RC_GTEST_PROP(Letters, SayAfterTheWireWhatTheySaidBefore, ()) {
  Letter letter;
  letter.place = *rc::gen::arbitrary<std::uint32_t>();
  letter.occ = *rc::gen::arbitrary<std::uint32_t>();
  letter.fingerprint = *rc::gen::arbitrary<std::uint64_t>();
  letter.began_ns = *rc::gen::arbitrary<std::uint64_t>();
  letter.session.driver = *rc::gen::container<std::string>(*rc::gen::inRange<std::size_t>(0, 16),
                                                           rc::gen::inRange<char>('a', 'z'));
  letter.session.blob = *rc::gen::container<std::string>(*rc::gen::inRange<std::size_t>(0, 4097),
                                                         rc::gen::arbitrary<char>());
  const std::optional<Letter> read = decode(encode(letter));
  RC_ASSERT(read.has_value());
  RC_ASSERT(are_same(*read, letter));
}

RC_GTEST_PROP(Letters, AreReadOnlyFromBytesThatTheyAreWrittenAs, (const std::string& noise)) {
  std::string bytes = encode(letter_of(1));
  const auto at = *rc::gen::inRange<std::size_t>(0, bytes.size());
  bytes[at] = static_cast<char>(bytes[at] ^ *rc::gen::inRange(1, 256));
  if (const std::optional<Letter> read = decode(bytes)) RC_ASSERT(encode(*read) == bytes);
  if (const std::optional<Letter> read = decode(noise)) RC_ASSERT(encode(*read) == noise);
}

TEST(Letters, CutOffOrTooLongAreNone) {
  const std::string bytes = encode(letter_of(1, "12345678"));
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(decode(std::string_view(bytes).substr(0, size))) << size;
  }
  EXPECT_FALSE(decode(bytes + "x"));
  EXPECT_TRUE(decode(bytes));
}

class Mailboxes : public ::testing::Test {
 protected:
  [[nodiscard]] std::unique_ptr<Mailbox> open(const Membership& worker) const {
    Result<std::unique_ptr<Mailbox>> mailbox = Mailbox::open(world_.segment(), worker.id());
    if (!mailbox.ok()) ADD_FAILURE() << mailbox.status().to_string();
    return mailbox.ok() ? std::move(mailbox).value() : nullptr;
  }
  [[nodiscard]] std::string path_of(WorkerId id) const {
    return mailbox_folder(world_.segment()) + "/" + std::to_string(id.row) + "." +
           std::to_string(id.gen);
  }
  // Anybody's own letter: these bytes with these descriptors.
  [[nodiscard]] bool post(WorkerId to, const std::string& bytes,
                          const std::vector<int>& descriptors) const {
    const FileDescriptor from(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_of(to).copy(address.sun_path, sizeof address.sun_path - 1);
    iovec part{const_cast<char*>(bytes.data()), bytes.size()};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(16 * sizeof(int))> control{};
    msghdr message{};
    message.msg_name = &address;
    message.msg_namelen = sizeof address;
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (!descriptors.empty()) {
      message.msg_control = control.data();
      message.msg_controllen = CMSG_SPACE(descriptors.size() * sizeof(int));
      cmsghdr* const rights = CMSG_FIRSTHDR(&message);
      rights->cmsg_level = SOL_SOCKET;
      rights->cmsg_type = SCM_RIGHTS;
      rights->cmsg_len = CMSG_LEN(descriptors.size() * sizeof(int));
      std::memcpy(CMSG_DATA(rights), descriptors.data(), descriptors.size() * sizeof(int));
    }
    return sendmsg(from.get(), &message, MSG_DONTWAIT) >= 0;
  }

  ShmWorld world_;
  std::unique_ptr<Membership> me_ = world_.join(), other_ = world_.join();
  std::unique_ptr<Mailbox> mine_ = open(*me_), others_ = open(*other_);
  Received received_;
};

TEST_F(Mailboxes, CarryALetterAndADescriptorThatIsClosedOnExec) {
  SocketPair connection;
  ASSERT_EQ(mine_->send(other_->id(), letter_of(5), connection.ours()), Sent::kSent);
  connection.close_ours();
  ASSERT_EQ(others_->receive(received_), Mailbox::Next::kLetter);
  EXPECT_TRUE(are_same(received_.letter, letter_of(5)));
  EXPECT_EQ(fcntl(received_.fd.get(), F_GETFD), FD_CLOEXEC);
  EXPECT_TRUE(connection.answers_to(received_.fd.get()));
  EXPECT_EQ(others_->receive(received_), Mailbox::Next::kEmpty);
}

TEST_F(Mailboxes, AreNotWaitedFor) {
  EXPECT_EQ(others_->receive(received_), Mailbox::Next::kEmpty);
  SocketPair connection;
  Sent sent = Sent::kSent;
  for (int i = 0; i < 1000 && sent == Sent::kSent; ++i) {
    sent = mine_->send(other_->id(), letter_of(5), connection.ours());
  }
  EXPECT_EQ(sent, Sent::kFull);
}

TEST_F(Mailboxes, TakeTheLongestBlobThereMayBe) {
  SocketPair connection;
  const Letter longest = letter_of(5, std::string(kMaxSessionBytes, 'x'));
  ASSERT_EQ(mine_->send(other_->id(), longest, connection.ours()), Sent::kSent);
  ASSERT_EQ(others_->receive(received_), Mailbox::Next::kLetter);
  EXPECT_EQ(received_.letter.session.blob.size(), kMaxSessionBytes);
}

TEST_F(Mailboxes, OfNobodyAreGone) {
  SocketPair connection;
  EXPECT_EQ(mine_->send({7, 1}, letter_of(5), connection.ours()), Sent::kGone);
  WorkerId next = other_->id();
  ++next.gen;
  EXPECT_EQ(mine_->send(next, letter_of(5), connection.ours()), Sent::kGone);
  others_->close_in_child();  // as a kill leaves it: the name stays, nobody is behind it
  EXPECT_EQ(mine_->send(other_->id(), letter_of(5), connection.ours()), Sent::kGone);
  EXPECT_TRUE(std::filesystem::exists(path_of(other_->id())));
}

TEST_F(Mailboxes, ThatWereStoppedAreGoneButKeepWhatIsInThem) {
  SocketPair connection;
  ASSERT_EQ(mine_->send(other_->id(), letter_of(5), connection.ours()), Sent::kSent);
  others_->stop();
  EXPECT_EQ(mine_->send(other_->id(), letter_of(6), connection.ours()), Sent::kGone);
  ASSERT_EQ(others_->receive(received_), Mailbox::Next::kLetter);
  EXPECT_EQ(received_.letter.place, 5u);
}

TEST_F(Mailboxes, CloseWhatComesWithAMessageOfTheWrongShape) {
  const std::string good = encode(letter_of(5));
  const std::vector<std::pair<std::string, int>> cases = {{good, 2},
                                                          {good, 3},
                                                          {good, 9},
                                                          {good + "x", 1},
                                                          {good.substr(1), 1},
                                                          {"", 1},
                                                          {std::string(5000, 'x'), 1}};
  for (const auto& [bytes, count] : cases) {
    SocketPair connection;
    ASSERT_TRUE(post(other_->id(), bytes,
                     std::vector<int>(static_cast<std::size_t>(count), connection.ours())));
    connection.close_ours();
    EXPECT_EQ(others_->receive(received_), Mailbox::Next::kRefused) << bytes.size();
    EXPECT_TRUE(connection.is_hung_up()) << bytes.size() << " bytes, " << count << " descriptors";
  }
  ASSERT_TRUE(post(other_->id(), good, {}));
  EXPECT_EQ(others_->receive(received_), Mailbox::Next::kRefused) << "no descriptor";
  EXPECT_EQ(others_->receive(received_), Mailbox::Next::kEmpty);
}

TEST_F(Mailboxes, AcceptALetterOfAnotherProcessOfTheSameUser) {
  SocketPair connection;
  ASSERT_TRUE(post(other_->id(), encode(letter_of(5)), {connection.ours()}));
  EXPECT_EQ(others_->receive(received_), Mailbox::Next::kLetter);
}

TEST_F(Mailboxes, HaveTheSegmentsModeWhateverTheUmask) {
  const mode_t before = umask(0077);
  const auto third = world_.join();
  const auto mailbox = open(*third);
  umask(before);
  struct stat segment {
  }, socket{}, folder{};
  ASSERT_EQ(stat(world_.segment().path().c_str(), &segment), 0);
  ASSERT_EQ(stat(path_of(third->id()).c_str(), &socket), 0);
  ASSERT_EQ(stat(mailbox_folder(world_.segment()).c_str(), &folder), 0);
  EXPECT_EQ(socket.st_mode & 0777, segment.st_mode & 0777);
  EXPECT_TRUE(S_ISSOCK(socket.st_mode));
  EXPECT_EQ(folder.st_mode & 07777, 0700u) << "private, as the segment's folder is";
}

TEST_F(Mailboxes, InAFolderThatSomebodyElseCouldWriteToAreNotOpened) {
  ASSERT_EQ(chmod(mailbox_folder(world_.segment()).c_str(), 0777), 0);
  const auto third = world_.join();
  const auto mailbox = Mailbox::open(world_.segment(), third->id());
  ASSERT_FALSE(mailbox.ok());
  EXPECT_EQ(mailbox.status().code(), Code::kNoPermission);
  EXPECT_THAT(mailbox.status().message(), testing::HasSubstr("writable by everybody"));
}

TEST_F(Mailboxes, OfEarlierOwnersOfTheRowAreRemovedByTheNext) {
  const WorkerId was = other_->id();
  others_->close_in_child();
  others_.reset();
  test::die(other_);
  ASSERT_TRUE(std::filesystem::exists(path_of(was)));
  // Its reaper died before it could remove it.
  world_.segment().workers()[was.row].word.store(WorkerWord(WorkerState::kFree, was.gen).raw());
  other_ = world_.join();
  ASSERT_EQ(other_->id(), (WorkerId{was.row, was.gen + 1}));
  others_ = open(*other_);
  EXPECT_FALSE(std::filesystem::exists(path_of(was)));
  EXPECT_TRUE(std::filesystem::exists(path_of(other_->id())));
  EXPECT_TRUE(std::filesystem::exists(path_of(me_->id())));
}

TEST_F(Mailboxes, OfTheDeadAreRemovedByTheirReaperAndOfLeaversByThemselves) {
  const WorkerId dead = other_->id(), leaver = me_->id();
  others_->close_in_child();
  test::die(other_);
  other_ = world_.join();  // settles it
  EXPECT_FALSE(std::filesystem::exists(path_of(dead)));
  me_->leave();
  EXPECT_FALSE(std::filesystem::exists(path_of(leaver)));
}

TEST_F(Mailboxes, WithANameTooLongForAnAddressAreReachedAllTheSame) {
  SegmentOptions options = world_.options();
  options.folder = world_.folder() + "/" + std::string(100, 'l');
  const auto segment = Segment::open(options);
  ASSERT_TRUE(segment.ok()) << segment.status().to_string();
  Segment& deep = *segment.value();
  auto from = Membership::join(deep, "from"), to = Membership::join(deep, "to");
  ASSERT_TRUE(from.ok() && to.ok());
  const auto sender = Mailbox::open(deep, from.value()->id());
  const auto receiver = Mailbox::open(deep, to.value()->id());
  ASSERT_TRUE(sender.ok()) << sender.status().to_string();
  ASSERT_TRUE(receiver.ok()) << receiver.status().to_string();
  SocketPair connection;
  EXPECT_EQ(sender.value()->send(to.value()->id(), letter_of(5), connection.ours()), Sent::kSent);
  EXPECT_EQ(receiver.value()->receive(received_), Mailbox::Next::kLetter);
}

TEST_F(Mailboxes, WhoseNumberBecameAnotherFilesAreEmptyAndTouchNothing) {
  // As a host's closefrom() followed by a socket of its own.
  std::array<int, 2> hosts{};
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_DGRAM, 0, hosts.data()), 0);
  const FileDescriptor one(hosts[0]), two(hosts[1]);
  const int number = [&] {
    for (int fd = 3; fd < 1000; ++fd) {
      sockaddr_un name{};
      socklen_t size = sizeof name;
      if (getsockname(fd, reinterpret_cast<sockaddr*>(&name), &size) == 0 &&
          path_of(other_->id()) == name.sun_path) {
        return fd;
      }
    }
    return -1;
  }();
  ASSERT_GE(number, 0);
  ASSERT_EQ(dup2(one.get(), number), number);
  ASSERT_EQ(send(two.get(), "hosts", 5, 0), 5);
  EXPECT_EQ(others_->receive(received_), Mailbox::Next::kEmpty);
  others_.reset();
  std::array<char, 8> bytes{};
  EXPECT_EQ(recv(number, bytes.data(), bytes.size(), MSG_DONTWAIT), 5) << "the host's own";
  close(number);
}

// The credentials are the kernel's word. As root only, since only root can be somebody else.
TEST_F(Mailboxes, RefuseALetterOfAnotherUserButRoot) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can become another user";
  constexpr uid_t kOwner = 12345, kStranger = 54321;
  // The mailbox is opened by one user, and its mode lets another in: what a group folder is to look
  // like without being one.
  const std::string folder = world_.folder() + "/open";
  ASSERT_EQ(mkdir(folder.c_str(), 0700), 0);
  ASSERT_EQ(chown(folder.c_str(), kOwner, kOwner), 0);
  ASSERT_EQ(chmod(world_.folder().c_str(), 0711), 0);
  std::array<int, 2> ready{}, go{};
  ASSERT_EQ(pipe(ready.data()), 0);
  ASSERT_EQ(pipe(go.data()), 0);
  const pid_t child = fork();
  if (child == 0) {
    if (setresuid(kOwner, kOwner, kOwner) != 0) _exit(1);
    SegmentOptions options = world_.options();
    options.folder = folder;
    const auto segment = Segment::open(options);
    if (!segment.ok()) _exit(2);
    const auto worker = Membership::join(*segment.value(), "owner");
    if (!worker.ok()) _exit(3);
    const auto mailbox = Mailbox::open(*segment.value(), worker.value()->id());
    if (!mailbox.ok()) _exit(4);
    char byte = 1;
    if (write(ready[1], &byte, 1) != 1 || read(go[0], &byte, 1) != 1) _exit(5);
    Received received;
    // First the stranger's, then root's.
    if (mailbox.value()->receive(received) != Mailbox::Next::kRefused) _exit(6);
    if (mailbox.value()->receive(received) != Mailbox::Next::kLetter) _exit(7);
    _exit(0);
  }
  char byte = 0;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  const std::string name = folder + "/default.mbox/0.1";
  ASSERT_EQ(chmod(folder.c_str(), 0711), 0);
  ASSERT_EQ(chmod((folder + "/default.mbox").c_str(), 0711), 0);
  ASSERT_EQ(chmod(name.c_str(), 0666), 0);
  const auto send_to_it = [&](uid_t as) {
    const pid_t sender = fork();
    if (sender == 0) {
      if (as != 0 && setresuid(as, as, as) != 0) _exit(1);
      SocketPair connection;
      const FileDescriptor from(socket(AF_UNIX, SOCK_DGRAM, 0));
      sockaddr_un address{};
      address.sun_family = AF_UNIX;
      name.copy(address.sun_path, sizeof address.sun_path - 1);
      const std::string bytes = encode(letter_of(5));
      iovec part{const_cast<char*>(bytes.data()), bytes.size()};
      alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
      msghdr message{&address, sizeof address, &part, 1, control.data(), control.size(), 0};
      cmsghdr* const rights = CMSG_FIRSTHDR(&message);
      rights->cmsg_level = SOL_SOCKET;
      rights->cmsg_type = SCM_RIGHTS;
      rights->cmsg_len = CMSG_LEN(sizeof(int));
      const int fd = connection.ours();
      std::memcpy(CMSG_DATA(rights), &fd, sizeof fd);
      _exit(sendmsg(from.get(), &message, MSG_DONTWAIT) >= 0 ? 0 : 2);
    }
    int status = -1;
    waitpid(sender, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  };
  EXPECT_EQ(send_to_it(kStranger), 0);
  EXPECT_EQ(send_to_it(0), 0);
  ASSERT_EQ(write(go[1], &byte, 1), 1);
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 0);
  for (const int fd : {ready[0], ready[1], go[0], go[1]}) close(fd);
}

}  // namespace
}  // namespace weir::shm
