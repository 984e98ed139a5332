// Turns: the few handshakes a pool may have in progress on the whole machine (connect_concurrency),
// and the breaker's one probe. A turn whose owner is gone, or which is older than connect_timeout,
// may be taken over: a stopped worker holds up nobody for longer. Nothing waits. Threads: any
// thread of any worker; a Turn belongs to who took it. Fork: a child forgets its parent's.
#pragma once

#include <cstdint>
#include <optional>

#include "shm/pool_ref.h"
#include "shm/words.h"

namespace weir::shm {

/// A handshake in progress. Not given back by a destructor: what follows (matching) must know.
struct Turn {
  std::uint32_t index;
  TurnWord word;
  TurnWord probe{};  // the breaker's, where it is half open and this is the one attempt
};

/// Takes a turn to connect; nullopt if connect_concurrency handshakes are in progress, the server
/// is full, or the breaker is open. Where it is time to see whether the server is back, the one who
/// gets the probe gets a turn, and nobody else.
[[nodiscard]] std::optional<Turn> take_turn(const PoolRef& pool, WorkerId self,
                                            std::uint64_t now_ns);
/// Gives it back, and the probe if it has that, unless somebody has taken it over. The caller has
/// said before what came of a probe (breaker.h), and matches afterwards.
void return_turn(const PoolRef& pool, const Turn& turn);
/// Whether this turn has the probe, and nobody has taken that over.
[[nodiscard]] bool has_probe(const PoolRef& pool, const Turn& turn);
/// The server refused a session as one too many, though the quota allowed it: until then nobody of
/// this pool connects. What is open serves the line meanwhile.
void note_server_full(const PoolRef& pool, std::uint64_t until_ns);
/// A session of ours has ended: the next one may try.
void note_server_has_room(const PoolRef& pool);
[[nodiscard]] bool is_server_full(const PoolRef& pool, std::uint64_t now_ns);

/// Whether the breaker is not closed, and somebody may find out now whether the server is back (a
/// look).
[[nodiscard]] bool is_due_for_probe(const PoolRef& pool, std::uint64_t now_ns);

/// How many handshakes could begin right now (a look, not a claim).
[[nodiscard]] std::uint32_t free_turns(const PoolRef& pool, std::uint64_t now_ns);

/// Whether the worker that a word names by row and the low `width` bits of its generation is in its
/// row. A worker that is not can never act again under that name; one that is may be dead all the
/// same.
[[nodiscard]] bool is_in_its_row(const Segment& segment, std::uint32_t row, std::uint32_t low_gen,
                                 unsigned width = PlaceWord::kGenBits);

}  // namespace weir::shm
