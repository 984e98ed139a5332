#include "shm_town.h"

#include <unistd.h>

#include <algorithm>
#include <stdexcept>

#include "shm/permits.h"
#include "shm/reaper.h"

namespace weir::shm {
namespace {

constexpr std::array<const char*, kDeeds> kDeedNames = {
    "take",       "leave",   "opened",    "lend",        "return",    "close",  "enter",
    "look",       "give up", "die",       "join",        "reap",      "settle", "revoke",
    "revoke old", "match",   "take turn", "return turn", "free void", "give",   "send",
    "withdraw",   "park",    "receive",   "sweep"};

void require(bool holds, const std::string& what) {
  if (!holds) throw std::logic_error(what);
}

std::string at(std::uint32_t pool, PlaceIndex place) {
  return "pool " + std::to_string(pool) + " place " + std::to_string(place) + ": ";
}

}  // namespace

std::ostream& operator<<(std::ostream& out, const TownPlan& plan) {
  out << "max";
  for (const std::uint32_t max : plan.max) out << ' ' << max;
  return out << ", quota " << plan.quota << ", turns " << plan.turns << ", quantum "
             << plan.quantum_ms << " ms";
}

std::ostream& operator<<(std::ostream& out, const Act& act) {
  return out << "worker " << act.worker << " " << kDeedNames[static_cast<std::size_t>(act.deed)]
             << " (pool " << act.pool << ", no. " << act.which << ")";
}

Town::Town(const TownPlan& plan) : plan_(plan) {
  for (std::uint32_t worker = 0; worker < kWorkers; ++worker) join(worker);
  const std::uint32_t quota = plan.quota == 0 ? kNone : world_.quota(id(0), plan.quota);
  for (const std::uint32_t max : plan.max) {
    PoolDeclaration declaration;
    declaration.name = "pool" + std::to_string(pools_.size());
    declaration.driver = "fake";
    declaration.max = max;
    declaration.quota = quota;
    declaration.connect_concurrency = plan.turns;
    declaration.connect_timeout_ms = 3'600'000;
    declaration.permit_quantum_ms = plan.quantum_ms;
    pools_.push_back(std::make_unique<PoolRef>(world_.pool(id(0), declaration)));
  }
}

void Town::act(const Act& act) {
  const bool alive = residents_[act.worker].membership != nullptr;
  if (alive == (act.deed == Deed::kJoin)) return;
  const std::vector<InLine> before = line_now();
  do_it(act);
  strike_off_the_settled();
  check();
  check_oldest_first(before);
  // What the dead leave is for ticks to find; among the living nobody needs one.
  if (!somebody_died_) check_nothing_is_kept_back();
}

void Town::do_it(const Act& act) {
  const auto held_in = [&](std::initializer_list<PlaceState> states) {
    return find_holding(act, states);
  };
  switch (act.deed) {
    case Deed::kTake:
      return take(act);
    case Deed::kLeave:
      if (Holding* held = held_in({PlaceState::kOpening, PlaceState::kClosing})) {
        leave_room_of(*held);
      }
      return;
    case Deed::kOpened:
      if (Holding* held = held_in({PlaceState::kOpening})) put_back(*held);
      return;
    case Deed::kLend:
      if (Holding* held = held_in({PlaceState::kIdle})) move(*held, PlaceState::kUsed);
      return;
    case Deed::kReturn:
      if (Holding* held = held_in({PlaceState::kUsed})) put_back(*held);
      return;
    case Deed::kClose:
      if (Holding* held = held_in({PlaceState::kIdle, PlaceState::kUsed})) {
        move(*held, PlaceState::kClosing);
      }
      return;
    case Deed::kEnter:
      return enter(act);
    case Deed::kLook:
      if (Queued* queued = find_entry(line_, act)) look(*queued);
      return;
    case Deed::kGiveUp:
      if (Queued* queued = find_entry(line_, act)) give_up(*queued);
      return;
    case Deed::kDie:
      return die(act.worker);
    case Deed::kJoin:
      return join(act.worker);
    case Deed::kReap:
      (void)reap(world_.segment(), id(act.worker));
      return;
    case Deed::kSettle:
      return settle_lingering_in(act.worker, act.pool);
    case Deed::kRevoke:
      return revoke(act, monotonic_ns());
    case Deed::kRevokeOld:
      return revoke(act, monotonic_ns() + 2 * kOfferPatienceNs);
    case Deed::kMatch:
      return match(pool(act.pool), id(act.worker));
    case Deed::kTakeTurn:
      return take_turn_now(act);
    case Deed::kReturnTurn:
      if (TurnTaken* taken = find_entry(turns_, act)) {
        const TurnTaken turn = *taken;
        turns_.erase(turns_.begin() + (taken - turns_.data()));
        return_turn(pool(turn.pool), turn.turn);
        match(pool(turn.pool), id(act.worker));
      }
      return;
    case Deed::kFreeVoid:
      free_void_permits(pool(act.pool));
      return;
    case Deed::kGive:
      if (Holding* held = held_in({PlaceState::kUsed})) give(*held);
      return;
    case Deed::kSend:
      if (Sending* sending = find_sending(act, false)) send(*sending);
      return;
    case Deed::kWithdraw:
      if (Sending* sending = find_sending(act, false)) withdraw(*sending);
      return;
    case Deed::kPark:
      if (Sending* sending = find_sending(act, true)) park(*sending);
      return;
    case Deed::kReceive:
      return receive(act.worker, false);
    case Deed::kSweep:
      return receive(act.worker, true);
  }
}

// ---- deeds --------------------------------------------------------------------------------------

Town::Holding* Town::find_holding(const Act& act, std::initializer_list<PlaceState> states) {
  std::vector<Holding*> fitting;
  for (Holding& held : holdings_) {
    const PlaceState state = held.room.word.state();
    if (held.worker == act.worker && std::count(states.begin(), states.end(), state) > 0 &&
        held.room.word.belongs_to(id(act.worker))) {
      fitting.push_back(&held);
    }
  }
  return fitting.empty() ? nullptr : fitting[act.which % fitting.size()];
}

template <typename Entry>
Entry* Town::find_entry(std::vector<Entry>& entries, const Act& act) {
  std::vector<Entry*> mine;
  for (Entry& entry : entries) {
    if (owner_of(entry) == id(act.worker)) mine.push_back(&entry);
  }
  return mine.empty() ? nullptr : mine[act.which % mine.size()];
}

void Town::take(const Act& act) {
  const bool expected = could_take(act.pool);
  const std::optional<Room> room = take_room(pool(act.pool), id(act.worker));
  require(room.has_value() == expected, "take_room answers what the book does not say");
  if (room) holdings_.push_back({act.worker, act.pool, *room});
}

void Town::enter(const Act& act) {
  const bool expected = line_.size() < world_.segment().waiters().size();
  const auto waiter = Waiter::enter(pool(act.pool), id(act.worker), Deadline::never(), "town", 0);
  require(waiter.has_value() == expected, "enter answers what the book does not say");
  if (!waiter) return;
  line_.push_back({act.worker, act.pool, ++arrivals_, id(act.worker), *waiter});
  match(pool(act.pool), id(act.worker));
}

void Town::look(Queued& queued) {
  const PoolRef& of = pool(queued.pool);
  const WorkerId self = id(queued.worker);
  const WaiterWord seen = queued.waiter.word();
  if (seen.state() == WaiterState::kGranted) {
    require(queued.waiter.leave(seen), "a granted waiter cannot leave");
    return forget(queued);  // the book knows the lease as its worker's already
  }
  if (seen.state() != WaiterState::kClaimed) return;
  if (const auto room = accept_offer(of, self, queued.waiter, seen)) {
    require(queued.waiter.leave(seen), "who accepted cannot leave the line");
    holdings_.push_back({queued.worker, queued.pool, *room});
    // It connects next, with the turn that was kept free for it.
    const std::optional<Turn> turn = take_turn(of, self, monotonic_ns());
    if (turn) turns_.push_back({queued.worker, queued.pool, *turn});
    return forget(queued);
  }
  require(queued.waiter.take_back(seen), "a claim cannot be taken back");
  require(!accept_offer(of, self, queued.waiter, seen), "an offer came from nowhere");
  raise_demand(of);
  match(of, self);
}

void Town::give_up(Queued& queued) {
  const WaiterWord seen = queued.waiter.word();
  require(queued.waiter.leave(seen), "a waiter cannot leave the line");
  const Queued left = queued;
  forget(queued);
  if (seen.state() != WaiterState::kClaimed) return;
  const auto room = accept_offer(pool(left.pool), id(left.worker), left.waiter, seen);
  if (room) leave_room(pool(left.pool), id(left.worker), room->place, room->word);
}

void Town::take_turn_now(const Act& act) {
  const bool expected = test::count_turns(pool(act.pool)) < plan_.turns;
  const auto turn = take_turn(pool(act.pool), id(act.worker), monotonic_ns());
  require(turn.has_value() == expected, "take_turn answers what the book does not say");
  if (turn) turns_.push_back({act.worker, act.pool, *turn});
}

void Town::revoke(const Act& act, std::uint64_t now_ns) {
  revoke_offers(pool(act.pool), id(act.worker), now_ns);
}

void Town::join(std::uint32_t worker) {
  residents_[worker].membership = world_.join("resident");
  Result<std::unique_ptr<Inbox>> inbox = Inbox::open(world_.segment(), id(worker));
  require(inbox.ok(), "a mailbox cannot be opened: " + inbox.status().message());
  residents_[worker].inbox = std::move(inbox).value();
}

void Town::die(std::uint32_t worker) {
  // One may die, be joined for again, and die once more before anybody settles the first death.
  if (residents_[worker].unsettled) return;
  somebody_died_ = true;
  residents_[worker].unsettled = id(worker);
  static auto* const graveyard = new std::vector<std::unique_ptr<Giving>>();
  for (Sending& sending : sending_) {
    if (sending.worker == worker) graveyard->push_back(std::move(sending.giving));
  }
  std::erase_if(sending_, [](const Sending& sending) { return !sending.giving; });
  residents_[worker].inbox->close_in_child();
  residents_[worker].inbox.reset();
  test::die(residents_[worker].membership);
}

// ---- live handover ------------------------------------------------------------------------------

Town::Sending* Town::find_sending(const Act& act, bool sent) {
  std::vector<Sending*> mine;
  for (Sending& sending : sending_) {
    if (sending.worker == act.worker && sending.sent == sent) mine.push_back(&sending);
  }
  return mine.empty() ? nullptr : mine[act.which % mine.size()];
}

void Town::give(Holding& held) {
  const PoolRef& of = pool(held.pool);
  const LineView view = look_at_line(of, id(held.worker));
  if (!view.oldest || view.oldest->word.owner_row() == id(held.worker).row) return;
  const bool expected = can_receive(world_.segment(), view.oldest->word.owner_row());
  std::optional<Giving> giving = Giving::claim(of, id(held.worker), held.room.place, *view.oldest);
  require(giving.has_value() == expected, "claim answers what can_receive does not say");
  if (!giving) return;
  require(giving->begin(), "a place that is ours cannot be given");
  sending_.push_back(
      {held.worker, held.pool, held.room, std::make_unique<Giving>(*std::move(giving)), false});
  forget(held);
}

void Town::send(Sending& sending) {
  const FileDescriptor connection(dup(0));
  const Sent sent = sending.giving->send(residents_[sending.worker].inbox->mailbox(),
                                         {"fake", "session"}, connection.get());
  if (sent == Sent::kSent) {
    sending.sent = true;
    return;
  }
  require(somebody_died_, "the living cannot be sent to");
  withdraw(sending);
}

void Town::withdraw(Sending& sending) {
  require(sending.giving->withdraw(), "a place that is ours was settled");
  holdings_.push_back({sending.worker, sending.pool, sending.room});
  sending_.erase(sending_.begin() + (&sending - sending_.data()));
}

void Town::park(Sending& sending) {
  const FileDescriptor connection(dup(0));
  sending.giving->park(connection.get());
  sending_.erase(sending_.begin() + (&sending - sending_.data()));
}

void Town::receive(std::uint32_t worker, bool sweep) {
  Inbox& inbox = *residents_[worker].inbox;
  const Inbox::Pass pass = sweep ? inbox.sweep() : inbox.receive(pool(0));
  require(pass.lost == 0 || somebody_died_, "a connection was lost although nobody died");
  require(!is_expecting(world_.segment(), id(worker)), "a parked place was not judged");
  unsigned taken = 0;
  for (std::uint32_t i = 0; i < pools_.size(); ++i) {
    while (const std::optional<Arrival> came = inbox.take(pool(i))) {
      ++taken;
      arrive(worker, i, came->place);
    }
  }
  require(taken == pass.arrived, "what arrived cannot be taken");
}

void Town::arrive(std::uint32_t worker, std::uint32_t index, PlaceIndex place) {
  holdings_.push_back({worker, index, {place, test::place_word(pool(index), place)}});
  Holding& held = holdings_.back();
  require(held.room.word.state() == PlaceState::kUsed && held.room.word.belongs_to(id(worker)),
          at(index, place) + "arrived, and is not its receiver's");
  if (!grant_claimed(pool(index), id(worker), place)) put_back(held);
}

void Town::settle_lingering_in(std::uint32_t worker, std::uint32_t index) {
  for (PlaceIndex i = 0; i < pool(index).capacity(); ++i) {
    const PlaceWord word = test::place_word(pool(index), i);
    if (word.state() != PlaceState::kLingering) continue;
    require(settle_lingering(pool(index), id(worker), i, word), "what lingers cannot be settled");
  }
}

void Town::move(Holding& holding, PlaceState state) {
  require(test::move_place(pool(holding.pool), id(holding.worker), holding.room, state),
          "a place is not its holder's any more");
}

// To IDLE; then, as everybody who makes a place idle, looks whether a thread of its own waits.
void Town::put_back(Holding& holding) {
  const PoolRef& of = pool(holding.pool);
  move(holding, PlaceState::kIdle);
  if (of.row().demand.load() == 0) return;
  const LineView view = look_at_line(of, id(holding.worker));
  if (!view.oldest_own) return;
  move(holding, PlaceState::kUsed);
  require(grant(of, *view.oldest_own, holding.room.place), "a waiter cannot be granted a lease");
}

void Town::leave_room_of(const Holding& holding) {
  const Holding left = holding;
  forget(holding);
  leave_room(pool(left.pool), id(left.worker), left.room.place, left.room.word);
}

void Town::forget(const Holding& holding) {
  holdings_.erase(holdings_.begin() + (&holding - holdings_.data()));
}

void Town::forget(const Queued& queued) { line_.erase(line_.begin() + (&queued - line_.data())); }

void Town::strike_off_the_settled() {
  for (std::uint32_t worker = 0; worker < kWorkers; ++worker) {
    std::optional<WorkerId>& dead = residents_[worker].unsettled;
    if (!dead) continue;
    const WorkerWord row(world_.segment().workers()[dead->row].word.load());
    if (row == WorkerWord(WorkerState::kLive, dead->gen)) continue;
    std::erase_if(holdings_, [&](const Holding& held) {
      if (!held.room.word.belongs_to(*dead)) return false;
      const PlaceWord word = test::place_word(pool(held.pool), held.room.place);
      // It lingers, or whoever settled the dead has gone on already.
      require(word != held.room.word, "a dead worker's place was not settled");
      return true;
    });
    std::erase_if(line_, [&](const Queued& queued) { return queued.owner == *dead; });
    std::erase_if(turns_, [&](const TurnTaken& taken) {
      return taken.turn.word.row() == dead->row && taken.turn.word.gen() == dead->gen;
    });
    dead.reset();
  }
}

// ---- what must hold -----------------------------------------------------------------------------

std::uint32_t Town::occupied(std::uint32_t index) const {
  const auto& places = pool(index).places();
  return static_cast<std::uint32_t>(
      std::count_if(places.begin(), places.end(),
                    [](const Word& cell) { return PlaceWord(cell.load()).occupied(); }));
}

bool Town::could_take(std::uint32_t index) const {
  std::uint32_t in_all = 0;
  for (std::uint32_t i = 0; i < pools_.size(); ++i) in_all += occupied(i);
  return occupied(index) < plan_.max[index] && (plan_.quota == 0 || in_all < plan_.quota);
}

void Town::check() const {
  require(world_.segment().usable().ok(), "poisoned: " + world_.segment().usable().message());
  for (std::uint32_t i = 0; i < pools_.size(); ++i) check_places(i);
  check_permits();
  check_line();
  for (std::uint32_t i = 0; i < pools_.size(); ++i) {
    const auto booked = std::count_if(turns_.begin(), turns_.end(),
                                      [&](const TurnTaken& taken) { return taken.pool == i; });
    require(test::count_turns(pool(i)) == booked, "turns taken differ from the book");
  }
}

void Town::check_places(std::uint32_t index) const {
  require(occupied(index) <= plan_.max[index], "more places occupied than the pool may have");
  std::uint32_t in_force = 0;
  for (PlaceIndex i = 0; i < pool(index).capacity(); ++i) {
    const PlaceWord word = test::place_word(pool(index), i);
    in_force += word.state() != PlaceState::kRetired ? 1 : 0;
    const auto holders = std::count_if(
        holdings_.begin(), holdings_.end(),
        [&](const Holding& held) { return held.pool == index && held.room.place == i; });
    require(holders <= 1, at(index, i) + "two holders");
    const bool in_hands = word.names_worker() && word.state() != PlaceState::kParked;
    require((holders == 1) == in_hands, at(index, i) + "held in one place only");
  }
  require(in_force == plan_.max[index], "the pool lost a place");
  for (const Holding& held : holdings_) {
    if (held.pool != index) continue;
    require(test::place_word(pool(index), held.room.place) == held.room.word,
            at(index, held.room.place) + "reads what its holder did not write");
  }
  for (const Sending& sending : sending_) {
    if (sending.pool != index) continue;
    const PlaceWord word = test::place_word(pool(index), sending.room.place);
    require(word.is_given_by(id(sending.worker)) && word.occ() == sending.room.word.occ(),
            at(index, sending.room.place) + "is not its sender's any more");
  }
}

void Town::check_permits() const {
  if (plan_.quota == 0) return;
  std::uint32_t in_all = 0;
  for (std::uint32_t i = 0; i < pools_.size(); ++i) in_all += occupied(i);
  require(in_all <= plan_.quota, "more connections than the quota allows");
  std::vector<std::uint32_t> named;
  for (const Word& cell : pool(0).permits()) {
    const PermitWord permit(cell.load());
    if (permit.state() != PermitState::kHeld) continue;
    const PlaceWord place(world_.segment().places()[permit.place()].load());
    if (!permit.is_void(place)) named.push_back(permit.place());
  }
  require(named.size() == in_all, "permits held differ from places occupied");
  std::sort(named.begin(), named.end());
  require(std::adjacent_find(named.begin(), named.end()) == named.end(),
          "two permits for one place");
}

void Town::check_line() const {
  require(test::count_waiters(world_.segment()) == line_.size(), "the line differs from the book");
  for (const Queued& queued : line_) {
    const WaiterState state = queued.waiter.word().state();
    require(state != WaiterState::kFree && state != WaiterState::kSetup,
            "a waiter fell out of the line");
  }
}

std::vector<Town::InLine> Town::line_now() const {
  std::vector<InLine> line;
  for (const Queued& queued : line_) {
    line.push_back({queued.order, queued.pool, queued.owner, queued.waiter.word()});
  }
  return line;
}

// Whoever was served by the last deed came before everybody of the same pool whom it left waiting;
// a lease handed over inside a worker, before everybody of that worker.
void Town::check_oldest_first(const std::vector<InLine>& before) const {
  const std::vector<InLine> after = line_now();
  const auto was = [&](const InLine& now) {
    const auto found = std::find_if(before.begin(), before.end(),
                                    [&](const InLine& one) { return one.order == now.order; });
    return found == before.end() ? WaiterWord() : found->word;
  };
  for (const InLine& served : after) {
    const WaiterState state = served.word.state();
    if (state == WaiterState::kWaiting || served.word == was(served)) continue;
    // What comes from elsewhere is for who was claimed for it, when that was its turn.
    if (state == WaiterState::kGranted && was(served).state() == WaiterState::kClaimed) continue;
    for (const InLine& left : after) {
      if (left.word.state() != WaiterState::kWaiting || left.word != was(left) ||
          left.pool != served.pool) {
        continue;
      }
      if (state == WaiterState::kGranted && left.owner != served.owner) continue;
      require(served.order < left.order, "a younger waiter was served before an older one");
    }
  }
}

// ---- the end ------------------------------------------------------------------------------------

void Town::tick(std::uint32_t worker) {
  (void)reap(world_.segment(), id(worker));
  strike_off_the_settled();
  for (std::uint32_t i = 0; i < pools_.size(); ++i) {
    settle_lingering_in(worker, i);
    revoke_offers(pool(i), id(worker), monotonic_ns());
    free_void_permits(pool(i));
    raise_demand(pool(i));
    match(pool(i), id(worker));
  }
  receive(worker, true);
}

void Town::come_to_rest() {
  for (int round = 0; round < 3; ++round) {
    for (std::uint32_t worker = 0; worker < kWorkers; ++worker) {
      if (residents_[worker].membership == nullptr) join(worker);
      tick(worker);
    }
  }
  check();
  check_nothing_is_kept_back();
}

void Town::check_nothing_is_kept_back() const {
  for (std::uint32_t i = 0; i < pools_.size(); ++i) {
    const bool somebody_waits = std::any_of(line_.begin(), line_.end(), [&](const Queued& queued) {
      return queued.pool == i && queued.waiter.word().state() == WaiterState::kWaiting;
    });
    const bool could_begin =
        free_turns(pool(i), monotonic_ns()) > test::count_places(pool(i), PlaceState::kOffered);
    require(!(somebody_waits && could_take(i) && could_begin),
            "a room of pool " + std::to_string(i) + " is free while somebody waits for it");
  }
}

void Town::go_home() {
  while (!turns_.empty()) {
    return_turn(pool(turns_.back().pool), turns_.back().turn);
    turns_.pop_back();
  }
  while (!sending_.empty()) {
    if (!sending_.back().sent) {
      withdraw(sending_.back());
    } else {
      park(sending_.back());
    }
  }
  for (std::uint32_t worker = 0; worker < kWorkers; ++worker) receive(worker, false);
  while (!line_.empty()) give_up(line_.back());
  while (!holdings_.empty()) {
    Holding& held = holdings_.back();
    if (held.room.word.state() == PlaceState::kIdle ||
        held.room.word.state() == PlaceState::kUsed) {
      move(held, PlaceState::kClosing);
    }
    leave_room_of(held);
  }
  come_to_rest();
  for (std::uint32_t i = 0; i < pools_.size(); ++i) {
    require(test::count_places(pool(i), PlaceState::kFree) == plan_.max[i],
            "a place of pool " + std::to_string(i) + " is lost");
    require(test::count_held_permits(pool(i)) == 0, "a permit is lost");
  }
}

}  // namespace weir::shm
