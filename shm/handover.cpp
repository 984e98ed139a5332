#include "shm/handover.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/clock.h"
#include "shm/parking.h"
#include "shm/place_moves.h"
#include "shm/rooms.h"
#include "shm/stats.h"
#include "shm/turns.h"
#include "shm/worker_table.h"

namespace weir::shm {
namespace {

// A pass reads no more letters than this, so that nobody can keep it busy; a mailbox holds about
// eleven (max_dgram_qlen in unix(7)).
constexpr unsigned kMostPerPass = 64;

// The pool that place `global` belongs to; nullopt if none does.
std::optional<PoolRef> pool_of(const Segment& segment, std::uint32_t global) {
  for (const PoolRef& pool : all_pools(segment)) {
    if (pool.local(global)) return pool;
  }
  return std::nullopt;
}

std::uint64_t inode_of(int fd) {
  struct stat st {};
  return fstat(fd, &st) == 0 ? st.st_ino : 0;
}

}  // namespace

// ---- looks ----------------------------------------------------------------------------------

bool has_mailbox(const Segment& segment, std::uint32_t row) {
  if (row >= segment.workers().size()) return false;
  const WorkerRow& worker = segment.workers()[row];
  const WorkerWord word(worker.word.load());
  return word.state() == WorkerState::kLive && worker.receives.load() == word.gen();
}

std::uint32_t places_of(const PoolRef& pool, std::uint32_t row) {
  return static_cast<std::uint32_t>(
      std::count_if(pool.places().begin(), pool.places().end(), [row](const Word& cell) {
        const PlaceWord word(cell.load(std::memory_order_relaxed));
        return word.names_worker() && word.idx() == row;
      }));
}

bool can_receive(const Segment& segment, std::uint32_t row) {
  return has_mailbox(segment, row) && !is_row_expecting(segment, row);
}

std::optional<Candidate> oldest_to_send_to(const PoolRef& pool, WorkerId self) {
  const Segment& segment = pool.segment();
  std::vector<bool> expecting(segment.workers().size());
  for (const Word& cell : segment.places()) {
    const PlaceWord word(cell.load());
    if (word.state() != PlaceState::kGiving && word.state() != PlaceState::kParked) continue;
    const std::uint32_t row =
        word.state() == PlaceState::kGiving ? word.receiver().row : word.idx();
    if (row < expecting.size()) expecting[row] = true;
  }
  const std::uint32_t cap = pool.row().max_per_worker.load();
  return oldest_in_line(pool, [&](std::uint32_t row) {
    if (row == self.row || !has_mailbox(segment, row) || expecting[row]) return false;
    return cap == 0 || places_of(pool, row) < cap;
  });
}

bool is_expecting(const Segment& segment, WorkerId self) {
  return std::any_of(segment.places().begin(), segment.places().end(), [self](const Word& cell) {
    const PlaceWord word(cell.load(std::memory_order_relaxed));
    return word.state() == PlaceState::kParked && word.belongs_to(self);
  });
}

bool is_on_its_way(const PoolRef& pool, WorkerId self, WaiterWord claimed) {
  const std::optional<PlaceIndex> place = pool.local(claimed.what());
  if (!place) return false;
  const PlaceWord word(pool.places()[*place].load());
  return word.is_on_its_way_to(self) ||
         (word.state() == PlaceState::kUsed && word.belongs_to(self));
}

// ---- giving ---------------------------------------------------------------------------------

Giving::Giving(const PoolRef& pool, WorkerId self, PlaceIndex place, const Candidate& who,
               WorkerId to)
    : pool_(&pool),
      self_(self),
      place_(place),
      who_(who),
      to_(to),
      began_ns_(monotonic_ns()),
      word_(pool.places()[place].load()) {}

Giving::Giving(Giving&& other) noexcept
    : pool_(other.pool_),
      self_(other.self_),
      place_(other.place_),
      who_(other.who_),
      to_(other.to_),
      began_ns_(other.began_ns_),
      null_(std::move(other.null_)),
      word_(other.word_),
      stage_(std::exchange(other.stage_, Stage::kOver)) {}

Giving::~Giving() {
  if (stage_ == Stage::kClaimed || stage_ == Stage::kBegun) withdraw();
}

std::optional<Giving> Giving::claim(const PoolRef& pool, WorkerId self, PlaceIndex place,
                                    const Candidate& who) {
  // 1. R as it is before the claim: once a waiter of R's row is claimed that waited when we read
  // the row, it is this generation's, since who joins a row frees its predecessor's waiters first.
  const std::uint32_t row = who.word.owner_row();
  if (row == self.row || !can_receive(pool.segment(), row)) return std::nullopt;
  const WorkerWord worker(pool.segment().workers()[row].word.load());
  if (worker.state() != WorkerState::kLive) return std::nullopt;
  if (!shm::claim(pool, who, place)) return std::nullopt;
  return Giving(pool, self, place, who, {row, worker.gen()});
}

bool Giving::begin() {
  WEIR_CHECK(stage_ == Stage::kClaimed);
  // 2. from here on our reaper sees to the place as the letter's fate demands.
  const bool ours = word_.state() == PlaceState::kUsed && word_.belongs_to(self_);
  if (ours) pool_->info(place_).since_ns.store(coarse_ns(), std::memory_order_relaxed);
  if (ours && move_on(pool_->places()[place_], word_,
                      [this](PlaceWord from) { return from.to_giving(self_, to_); })) {
    stage_ = Stage::kBegun;
    return true;
  }
  withdraw();
  return false;
}

Sent Giving::send(const Mailbox& from, const SessionText& session, int fd) {
  WEIR_CHECK(stage_ == Stage::kBegun);
  // What takes the place of our copy, before it is needed: after sending there is no way back.
  null_ = FileDescriptor(open("/dev/null", O_RDWR | O_CLOEXEC));
  if (null_.get() < 0) return Sent::kRefused;
  Letter letter;
  letter.place = pool_->global(place_);
  letter.occ = word_.occ();
  letter.fingerprint = pool_->row().fingerprint.load();
  letter.began_ns = began_ns_;
  letter.session = session;
  // 3. a second copy, in R's mailbox.
  const Sent sent = from.send(to_, letter, fd);
  if (sent == Sent::kSent) stage_ = Stage::kSent;
  return sent;
}

bool Giving::withdraw() {
  const Stage was = std::exchange(stage_, Stage::kOver);
  WEIR_CHECK(was == Stage::kClaimed || was == Stage::kBegun);
  bool ours = true;
  if (was == Stage::kBegun) {
    count(*pool_, Counter::kHandoverFailures);
    ours = move_on(pool_->places()[place_], word_,
                   [this](PlaceWord from) { return from.to(PlaceState::kUsed, self_); });
  }
  // While it was claimed the waiter was in nobody's sight: it and we look again.
  unclaim(*pool_, who_, place_);
  ring(pool_->segment(), to_.row);
  match(*pool_, self_);
  return ours;
}

void Giving::park(int fd) {
  WEIR_CHECK(std::exchange(stage_, Stage::kOver) == Stage::kSent);
  // 4. our copy first: who lends a connection has the only one. Closing it would do for that, but
  // the client library closes the number once more, and by then it may be another's.
  if (dup3(null_.get(), fd, O_CLOEXEC) < 0) close(fd);
  const Segment& segment = pool_->segment();
  pool_->info(place_).since_ns.store(coarse_ns(), std::memory_order_relaxed);
  const bool parked = move_on(pool_->places()[place_], word_,
                              [this](PlaceWord from) { return from.to(PlaceState::kParked, to_); });
  // 5. is R still there? Else its reaper may have looked for parked places before.
  if (parked) second_look(segment, pool_->global(place_), word_);
  // Who was claimed receives it itself: one wake instead of two. If it left, R's keeper does; a
  // waiter that leaves a claim looks for what is parked afterwards, so one of the two sees it.
  const WaiterWord claimed = who_.word.to(WaiterState::kClaimed, pool_->global(place_));
  if (segment.waiters()[who_.row].word.load() != claimed.raw()) ring(segment, to_.row);
  wake_waiter(segment, who_.row);
}

// ---- receiving ------------------------------------------------------------------------------

Result<std::unique_ptr<Inbox>> Inbox::open(const Segment& segment, WorkerId self) {
  Result<std::unique_ptr<Mailbox>> mailbox = Mailbox::open(segment, self);
  if (!mailbox.ok()) return mailbox.status();
  segment.workers()[self.row].receives.store(self.gen);
  return std::unique_ptr<Inbox>(new Inbox(segment, self, std::move(mailbox).value()));
}

Inbox::~Inbox() { close(); }

Inbox::Pass Inbox::receive(const PoolRef& mine) {
  return is_expecting(segment_, self_) ? pass(false, &mine) : Pass();
}

Inbox::Pass Inbox::sweep() { return pass(true, nullptr); }

Inbox::Pass Inbox::pass(bool drain_always, const PoolRef* mine) {
  struct Noted {
    std::uint32_t place;
    PlaceWord word;
  };
  Pass result;
  bool for_others = false;
  {
    const MutexLock lock(mutex_);
    if (closed_) return result;
    // a. note the words first: what is parked afterwards may have its letter drained below, and is
    // not judged for want of it.
    std::vector<Noted> noted;
    for (std::uint32_t i = 0; i < segment_.places().size(); ++i) {
      const PlaceWord word(segment_.places()[i].load());
      if (word.state() == PlaceState::kParked && word.belongs_to(self_)) noted.push_back({i, word});
    }
    if (noted.empty() && !drain_always) return result;
    // b. drain until empty.
    const bool emptied = drain();
    // c. judge.
    for (const Noted& one : noted) {
      const Kept* const came = judge(one.place, one.word);
      if (came != nullptr) {
        ++result.arrived;
        const bool is_mine = mine != nullptr && mine->local(one.place);
        for_others = for_others || !is_mine;
      } else if (emptied && linger_idle(segment_, one.place, one.word, self_.row)) {
        // No letter: its giver died before it could send one, or it was not fit to be read.
        ++result.lost;
        if (const auto pool = pool_of(segment_, one.place)) {
          count(*pool, Counter::kHandoverFailures);
        }
      }
    }
    // d. letters whose place speaks of us no more.
    std::erase_if(kept_,
                  [this](const Kept& one) { return !one.arrived && !is_for_us(one.letter); });
  }
  if (for_others) ring(segment_, self_.row);
  return result;
}

// Whether the place a letter names is on its way to us, in that occupation. Decided by the word,
// as it reads now: after its letter was sent a handover cannot be withdrawn.
bool Inbox::is_for_us(const Letter& letter) const {
  if (letter.place >= segment_.places().size()) return false;
  const PlaceWord word(segment_.places()[letter.place].load());
  return word.is_on_its_way_to(self_) && word.occ() == letter.occ;
}

// Takes out what is in the mailbox; keeps what is for us, the first letter of each occupation.
// False: there may be more in it.
bool Inbox::drain() {
  Received received;
  for (unsigned i = 0; i < kMostPerPass; ++i) {
    const Mailbox::Next next = mailbox_->receive(received);
    if (next == Mailbox::Next::kEmpty) return true;
    if (next == Mailbox::Next::kRefused || !is_for_us(received.letter)) continue;
    const Letter& letter = received.letter;
    const std::optional<PoolRef> pool = pool_of(segment_, letter.place);
    const bool same_pool = pool && pool->row().fingerprint.load() == letter.fingerprint &&
                           pool->row().driver.load() == letter.session.driver;
    const bool is_first = std::none_of(kept_.begin(), kept_.end(), [&](const Kept& one) {
      return one.letter.place == letter.place && one.letter.occ == letter.occ;
    });
    if (!same_pool || !is_first) continue;
    const std::uint64_t inode = inode_of(received.fd.get());
    kept_.push_back({std::move(received.letter), std::move(received.fd), inode, false});
    received.fd = FileDescriptor();
  }
  return false;
}

// PARKED(self) -> USED(self), if its letter has come. Null: it has not.
const Inbox::Kept* Inbox::judge(std::uint32_t place, PlaceWord noted) {
  const auto came = std::find_if(kept_.begin(), kept_.end(), [&](const Kept& one) {
    return !one.arrived && one.letter.place == place && one.letter.occ == noted.occ();
  });
  if (came == kept_.end()) return nullptr;
  segment_.place_info()[place].since_ns.store(coarse_ns(), std::memory_order_relaxed);
  // False: it was settled by others, who believe that we are dead.
  if (!move_on(segment_.places()[place], noted,
               [this](PlaceWord from) { return from.to(PlaceState::kUsed, self_); })) {
    return nullptr;
  }
  // A time of this machine's clock, but whoever sent it may have made it up.
  const std::uint64_t now_ns = monotonic_ns();
  came->letter.began_ns = std::min(came->letter.began_ns, now_ns);
  if (const auto pool = pool_of(segment_, place)) {
    record_handover(*pool, now_ns - came->letter.began_ns);
  }
  came->arrived = true;
  arrived_.fetch_add(1);
  return &*came;
}

std::optional<Arrival> Inbox::take(const PoolRef& pool) {
  if (arrived_.load() == 0) return std::nullopt;
  const MutexLock lock(mutex_);
  const auto found = std::find_if(kept_.begin(), kept_.end(), [&](const Kept& one) {
    return one.arrived && pool.local(one.letter.place);
  });
  if (found == kept_.end()) return std::nullopt;
  std::optional<Arrival> arrival(Arrival{*pool.local(found->letter.place), std::move(found->fd),
                                         std::move(found->letter.session), found->letter.began_ns});
  kept_.erase(found);
  arrived_.fetch_sub(1);
  return arrival;
}

void Inbox::give_up(const PoolRef& pool, Arrival&& arrival) {
  { const FileDescriptor last_copy(std::move(arrival.fd)); }
  drop(pool.global(arrival.place));
  count(pool, Counter::kHandoverFailures);
}

// USED(self) -> LINGERING, of a session of which no copy is left here.
void Inbox::drop(std::uint32_t place) {
  const PlaceWord word(segment_.places()[place].load());
  if (word.state() != PlaceState::kUsed || !word.belongs_to(self_)) return;
  if (linger_idle(segment_, place, word, self_.row)) ring(segment_, self_.row);
}

void Inbox::stop() {
  if (!mailbox_->is_inherited()) segment_.workers()[self_.row].receives.store(0);
}

void Inbox::close() {
  if (mailbox_->is_inherited()) return;  // row and name are the parent's
  const MutexLock lock(mutex_);
  if (std::exchange(closed_, true)) return;
  // If we were believed dead, the row may be another's by now.
  std::uint64_t ours = self_.gen;
  segment_.workers()[self_.row].receives.compare_exchange_strong(ours, 0);
  mailbox_->close();
  for (Kept& one : kept_) {
    { const FileDescriptor last_copy(std::move(one.fd)); }
    if (one.arrived) drop(one.letter.place);
  }
  kept_.clear();
  arrived_.store(0);
}

void Inbox::close_in_child() WEIR_NO_THREAD_SAFETY_ANALYSIS {
  closed_ = true;
  mailbox_->close_in_child();
  for (Kept& one : kept_) {
    // The number may have become another file's (a host's closefrom), and nothing is freed here.
    const int inherited = one.fd.release();
    if (inherited >= 0 && inode_of(inherited) == one.inode) ::close(inherited);
  }
}

}  // namespace weir::shm
