// A worker's mailbox: whatever anybody sends, with however many descriptors, while places are or
// are not on their way to it. What is received is a place that was parked with this worker, in that
// occupation, of that database; all else is closed, nothing is kept for ever, and nothing poisons
// the segment.
#include "shm/mailbox.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "input.h"
#include "shm/handover.h"
#include "support/shm_world.h"
#include "support/socket_pair.h"

namespace weir::fuzz {
namespace {

using shm::PlaceState;
using shm::PlaceWord;

constexpr std::uint32_t kPlaces = 4;

class Post {
 public:
  Post() : pool_(world_.pool(giver_->id(), kPlaces)) {
    auto inbox = shm::Inbox::open(world_.segment(), self_->id());
    require(inbox.ok(), "a mailbox can be opened", inbox.status().message());
    inbox_ = std::move(inbox).value();
  }

  void play(Input& input) {
    connection_.emplace();
    for (int steps = 0; steps < 32 && !input.is_at_end(); ++steps) one_step(input);
    // Nothing is on its way any more: all that came is closed.
    connection_->close_ours();
    for (shm::Word& place : pool_.places()) place.store(PlaceWord().raw());
    take_all();
    (void)inbox_->sweep();
    (void)inbox_->sweep();
    require(connection_->is_hung_up(), "no descriptor is left open");
    require(!world_.segment().is_poisoned(), "a letter poisons nothing",
            world_.segment().header().poison_reason.load());
  }

 private:
  void one_step(Input& input) {
    const auto place = static_cast<shm::PlaceIndex>(input.choice(kPlaces));
    shm::Word& cell = pool_.places()[place];
    const std::uint32_t occ = input.number<std::uint8_t>() % 4;
    switch (input.choice(8)) {
      case 0:
        cell.store(PlaceWord(PlaceState::kParked, self_->id().row, self_->id().gen, occ).raw());
        return;
      case 1:
        cell.store(
            PlaceWord(PlaceState::kFree, 0, 0, occ).to_giving(giver_->id(), self_->id()).raw());
        return;
      case 2:
        cell.store(PlaceWord(PlaceState::kUsed, self_->id().row, self_->id().gen, occ).raw());
        return;
      case 3:
        post(input.text(input.number<std::uint16_t>() % 6000), input.choice(6));
        return;
      case 4:
        post(letter(input, place, occ), input.choice(8) == 0 ? 2 : 1);
        return;
      case 5:
        expect_sense(inbox_->receive(pool_));
        return;
      case 6:
        expect_sense(inbox_->sweep());
        return;
      default:
        take_all();
    }
  }

  // A good one, but for what the input says.
  std::string letter(Input& input, std::uint32_t place, std::uint32_t occ) {
    shm::Letter letter;
    const auto is_odd = [&] { return input.choice(8) == 0; };
    letter.place = is_odd() ? input.number<std::uint32_t>() : pool_.global(place);
    letter.occ = is_odd() ? input.number<std::uint32_t>() : occ;
    letter.fingerprint = is_odd() ? input.number<std::uint64_t>() : pool_.row().fingerprint.load();
    letter.began_ns = input.number<std::uint64_t>();
    letter.session.driver = is_odd() ? input.text(input.choice(16)) : "fake";
    letter.session.blob = input.text(input.number<std::uint8_t>());
    std::string bytes = encode(letter);
    if (is_odd()) bytes[input.number<std::uint16_t>() % bytes.size()] ^= 1;
    const auto read = shm::decode(bytes);
    require(!read || encode(*read) == bytes, "what is read is what was written");
    return bytes;
  }

  // Words PARKED here are noted; none is left without being judged.
  void expect_sense(const shm::Inbox::Pass& pass) {
    require(pass.arrived + pass.lost <= kPlaces, "one answer for each place at the most");
    for (const shm::Word& place : pool_.places()) {
      require(PlaceWord(place.load()).state() != PlaceState::kParked, "what was parked is judged");
    }
  }

  void take_all() {
    while (auto arrival = inbox_->take(pool_)) {
      require(arrival->place < kPlaces, "an arrival is of this pool");
      require(arrival->session.driver == "fake", "and of its driver", arrival->session.driver);
      require(arrival->session.blob.size() <= shm::kMaxSessionBytes, "its text is not too long");
      require(arrival->fd.get() >= 0, "it has a descriptor");
      inbox_->give_up(pool_, *std::move(arrival));
    }
  }

  void post(const std::string& bytes, std::size_t descriptors) {
    if (!from_) from_.emplace(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const std::string path = mailbox_folder(world_.segment()) + "/" +
                             std::to_string(self_->id().row) + "." +
                             std::to_string(self_->id().gen);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    iovec part{const_cast<char*>(bytes.data()), bytes.size()};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(8 * sizeof(int))> control{};
    msghdr message{};
    message.msg_name = &address;
    message.msg_namelen = sizeof address;
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (descriptors > 0) {
      message.msg_control = control.data();
      message.msg_controllen = CMSG_SPACE(descriptors * sizeof(int));
      cmsghdr* const rights = CMSG_FIRSTHDR(&message);
      rights->cmsg_level = SOL_SOCKET;
      rights->cmsg_type = SCM_RIGHTS;
      rights->cmsg_len = CMSG_LEN(descriptors * sizeof(int));
      const std::vector<int> all(descriptors, connection_->ours());
      std::memcpy(CMSG_DATA(rights), all.data(), descriptors * sizeof(int));
    }
    (void)sendmsg(from_->get(), &message, MSG_DONTWAIT);  // a full one refuses
  }

  test::ShmWorld world_;
  std::unique_ptr<shm::Membership> self_ = world_.join(), giver_ = world_.join();
  shm::PoolRef pool_;
  std::unique_ptr<shm::Inbox> inbox_;
  std::optional<FileDescriptor> from_;
  std::optional<test::SocketPair> connection_;
};

}  // namespace
}  // namespace weir::fuzz

extern "C" int LLVMFuzzerTestOneInput(  // NOLINT(readability-identifier-naming): libFuzzer's name
    const std::uint8_t* data, std::size_t size) {
  static weir::fuzz::Post post;
  weir::fuzz::Input input(data, size);
  post.play(input);
  return 0;
}
