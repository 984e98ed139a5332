// What dead workers left, as one pool's keeper sees to it: asks the server over a connection of
// ours whether a session is gone, makes what it runs end, and frees its place.
#include <algorithm>
#include <utility>

#include "pool/pool.h"
#include "shm/lingering.h"

namespace weir::pool {

namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;
// How soon a dead worker's session is asked about again: a server needs a median of 5.6 ms to
// notice.
constexpr std::uint64_t kFirstPauseNs = 1'000'000;
constexpr std::uint64_t kLongestPauseNs = 20'000'000;

}  // namespace

void Pool::settle(PlaceIndex place, PlaceWord word) {
  if (!shm::settle_lingering(ref(), self(), place, word)) return;
  parts_.log.info("place_reclaimed", {{"pool", config().name},
                                      {"place", place},
                                      {"worker_row", word.gen()},
                                      {"cause", static_cast<int>(word.linger_cause())}});
}

// What this worker knows of a place that lingers, if it is time to look at it again; else null.
Pool::Lingering* Pool::due_lingering(PlaceIndex place, std::uint64_t now_ns) {
  Lingering& seen = lingering_[place];
  const PlaceWord word(cell(place).load());
  if (word.state() != PlaceState::kLingering) {
    seen = Lingering{};
    return nullptr;
  }
  if (seen.word != word.raw()) seen = Lingering{word.raw(), now_ns, 0, 0, 0};
  return now_ns < seen.next_try_ns ? nullptr : &seen;
}

void Pool::settle_lingering_places(std::uint64_t now_ns) {
  bool would_ask = false;
  for (PlaceIndex place = 0; place < ref().capacity(); ++place) {
    Lingering* const seen = due_lingering(place, now_ns);
    if (seen == nullptr) continue;
    const PlaceWord word(seen->word);
    const std::string token = ref().info(place).load_token();
    const bool runs = shm::may_run(ref(), place, word);
    if (cell(place).load() != seen->word) continue;  // the token may be the next occupant's
    const bool wants_end = runs && config().orphans == Orphans::kTerminate;
    if (wants_end && now_ns >= seen->cancel_after_ns && !token.empty()) {
      // What it was running ends; then the server finds that nobody listens, and ends the session.
      seen->cancel_after_ns = UINT64_MAX;
      add_cancel(place, seen->word, token);
    }
    if (now_ns >= shm::lingers_until_ns(ref(), place, word)) {
      settle(place, word);
    } else {
      would_ask |= !token.empty();
      seen->next_try_ns = now_ns + kFirstPauseNs;
    }
  }
  if (!would_ask || asking_.load()) return;
  // Over an idle connection; where there is none, over the next one that is given back.
  const PlaceIndex spare = take_any_idle();
  if (spare != kNoPlace) {
    ask_over(spare);
  } else {
    attention_.fetch_or(kSpareWanted);
  }
}

// Asks the server over a connection of ours, which is USED and lent to nobody, about all that
// lingers.
void Pool::ask_over(PlaceIndex spare) {
  asking_.store(true);
  slots_[spare].in_hands.store(true);
  Job job;
  job.kind = Job::Kind::kConfirm;
  job.place = spare;
  job.argument = std::make_unique<Job::Argument>();
  jobs_.add(std::move(job));
  wake_keeper();
}

// The next place to ask about; kNoPlace if there is none.
Pool::PlaceIndex Pool::next_to_ask_about() const {
  for (PlaceIndex place = 0; place < ref().capacity(); ++place) {
    const Lingering& seen = lingering_[place];
    const bool asked_lately = monotonic_ns() < seen.asked_ns + seen.pause_ns;
    if (seen.word == 0 || asked_lately || cell(place).load() != seen.word) continue;
    if (!ref().info(place).load_token().empty()) return place;
  }
  return kNoPlace;
}

void Pool::finish_confirm(Job& job, const Status& status) {
  // A session that could not ask (that one is at another address, say) may be fit all the same.
  const bool fit = status.ok() || is_connected(slots_[job.place]);
  if (job.target != kNoPlace && lingering_[job.target].word == job.target_word) {
    note_answer(job.target, status.ok(), status.ok() && job.argument->confirm.gone != 0);
  }
  if (fit && job.target != kNoPlace && next_to_ask_about() != kNoPlace) {
    job.started = false;
    jobs_.add(std::move(job));
    wake_keeper();
    return;
  }
  asking_.store(false);
  slots_[job.place].in_hands.store(false);
  if (fit) {
    serve(job.place);
  } else {
    start_closing(job.place, PlaceState::kUsed, CloseReason::kError);
  }
}

// Who could not be asked about is asked about again after a second, perhaps over another session;
// who is still there soon, and then less and less often.
void Pool::note_answer(PlaceIndex target, bool answered, bool gone) {
  Lingering& asked = lingering_[target];
  if (gone) {
    settle(target, PlaceWord(asked.word));
    return;
  }
  if (answered) shm::note_still_there(ref(), target);
  asked.asked_ns = monotonic_ns();
  asked.pause_ns =
      answered ? std::clamp(asked.pause_ns * 2, kFirstPauseNs, kLongestPauseNs) : kSecond;
  asked.next_try_ns = asked.asked_ns + asked.pause_ns;
}

// A request that did not get through is made again after a while.
void Pool::finish_cancel(const Job& job, const Status& status) {
  Lingering& asked = lingering_[job.target];
  const bool lingers = asked.word == job.target_word;
  if (status.ok()) {
    if (lingers && cell(job.target).load() == asked.word) shm::note_told_to_end(ref(), job.target);
    return;
  }
  parts_.log.warn("cancel_failed", {{"pool", config().name}, {"error", status.message()}});
  if (lingers) asked.cancel_after_ns = monotonic_ns() + kSecond;
}

void Pool::add_cancel(PlaceIndex place, std::uint64_t word, const std::string& token) {
  weir_conn_options_t options{};
  options.struct_size = sizeof options;
  Result<driver::Connection> request = driver::Connection::open(parts_.dsn, options);
  if (!request.ok()) return;
  Job job;
  job.kind = Job::Kind::kCancel;
  job.target = place;
  job.target_word = word;
  job.own = std::move(request).value();
  job.argument = std::make_unique<Job::Argument>();
  copy_token(token, job.argument->token);
  jobs_.add(std::move(job));
}

void Pool::copy_token(const std::string& bytes, weir_token_t& token) {
  token.size = static_cast<std::uint32_t>(std::min<std::size_t>(bytes.size(), WEIR_TOKEN_MAX));
  std::copy_n(bytes.begin(), token.size, token.bytes);
}

// By whichever worker they were settled: each one's keeper tells its own listener.
void Pool::tell_of_reclaimed() {
  const std::uint64_t all = shm::sum_counter(ref(), shm::Counter::kReclaimed);
  const std::uint64_t before = std::exchange(reclaimed_, all);
  if (all > before) tell({.kind = EventKind::kQuotaReclaimed, .count = all - before});
}

}  // namespace weir::pool
