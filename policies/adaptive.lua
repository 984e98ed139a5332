-- adaptive: as many connections as the measured load needs, and a step more.
--
-- What for: load that rises and falls over minutes or hours, on a server where idle connections
-- are not free. By Little's law (J. D. C. Little, "A Proof for the Queuing Formula L = lambda W",
-- Operations Research 9(3), 1961) as many connections are needed on average as callers are served
-- per second times how long each waits and holds. Of that and of the most that was seen in use the
-- greater is what is busy. Where more than `high` of the size is busy it grows by `grow` at once,
-- where less than `low` was it shrinks slowly, never below what the last minute needed. Where
-- callers wait too long it grows too, towards what they have opened for themselves.
--
-- As many are opened ahead (`warm`). The limit (`max` and `target`) is what the last minute needed
-- and a step more, never below a share of the pool's `max`; all of it while callers wait too long.
-- What is above the limit is closed, and a worker that has none idle gets one from another worker
-- instead of opening one more.
--
-- Params:
--   high           share of the size in use above which it grows, from 0 to 1
--   low            share of the size in use below which it shrinks, from 0 to 1
--   grow           by how many times it grows in a tick; 1 or more
--   shrink_per_s   which share of it goes in a second, from 0 to 1
--   slow_wait_ms   p95 of waits above which it grows too, in milliseconds
--   at_once        share of the pool's `max` that may be opened on demand in any case, from 0 to 1
--
-- When not to use it: where `max` connections cost nobody anything (the built-in policy keeps them
-- for `idle_timeout`), and for bursts minutes apart, which it has forgotten by the next (burst).
-- What comes all at once after a quiet time and needs more than the limit waits for up to a tick, a
-- second.
local function mean_of(times)
  -- The area under the percentiles, the lower half taken for as long as its longest: rather too
  -- much.
  return 0.5 * times.p50 + 0.45 * (times.p50 + times.p95) / 2 + 0.04 * (times.p95 + times.p99) / 2
      + 0.01 * times.p99
end

return {
  name = "adaptive", api = 1,
  params = { high = 0.75, low = 0.5, grow = 1.5, shrink_per_s = 0.01, slow_wait_ms = 5,
             at_once = 0.5 },

  size = function(view, params)
    local pool, state = view.pool, view.state
    local last = pool.last
    local high = math.min(math.max(params.high, 0.01), 1)
    local low = math.min(params.low, high)
    local grow = math.max(params.grow, 1)

    local by_littles_law = last.acquires_per_s * (mean_of(last.use) + mean_of(last.wait)) / 1000
    local busy = math.max(pool.used + pool.waiting, last.used_most, by_littles_law)
    local lately = math.max(busy, pool.minute.used_most)

    local before = state.size or 0
    local size = before
    local is_slow = last.wait.p95 > params.slow_wait_ms
    if busy > high * before then
      size = math.max(before * grow, busy / high)
    elseif lately < low * before and not is_slow then
      local passed_s = (view.now_ms - (state.now_ms or view.now_ms)) / 1000
      size = math.max(before * math.max(1 - params.shrink_per_s, 0) ^ passed_s, lately / high)
    end
    if is_slow then
      -- What callers opened for themselves is what they needed, if only for a moment.
      local staying = pool.idle + pool.used + pool.connecting
      size = math.max(size, math.min(math.max(before * grow, 1), staying))
    end
    size = math.min(math.max(size, pool.min), pool.max)
    state.now_ms, state.size = view.now_ms, size
    -- One limit: what may be opened but not stay would be opened again and again.
    local limit = pool.max
    if not is_slow then
      -- In coarse steps, so that all workers say the same: one would close what another may open.
      local step = math.max(math.ceil(pool.max / 8), 1)
      limit = math.max(lately / high * grow, size, pool.max * params.at_once)
      limit = math.min(math.ceil(limit / step) * step, pool.max)
    end
    return { warm = math.ceil(size), target = limit, max = limit }
  end,

  self_check = {
    -- Nothing has happened: half of max may be opened on demand.
    { size = { target = 6, warm = 0, max = 6, handover_after_ms = 10 } },
    { view = { pool = { min = 2 } }, size = { target = 6, warm = 2 } },
    -- 100 callers a second that hold for 36 ms and wait for 4 are four at a time.
    { view = { pool = { max = 20, last = { acquires_per_s = 100,
                                           use = { p50 = 36, p95 = 36, p99 = 36 },
                                           wait = { p50 = 4, p95 = 4, p99 = 4 } } } },
      size = { target = 12, warm = 6, max = 12 } },
    -- What is seen counts as well.
    { view = { pool = { max = 20, used = 4, waiting = 2 } }, size = { target = 12, warm = 8 } },
    { view = { pool = { max = 20, last = { used_most = 9 } } }, size = { target = 18, warm = 12 } },
    -- Busy: a step more. Neither: it stays. Idle: a hundredth a second less, though never less than
    -- the last minute needed.
    { view = { pool = { max = 40, used = 8 }, state = { size = 10 } }, size = { warm = 15 } },
    { view = { pool = { max = 40, used = 6 }, state = { size = 10 } }, size = { warm = 10 } },
    { view = { now_ms = 11000, pool = { max = 200 }, state = { size = 100, now_ms = 1000 } },
      size = { warm = 91, max = 100 } },
    { view = { now_ms = 900000, pool = { max = 200, minute = { used_most = 30 } },
               state = { size = 100, now_ms = 1000 } },
      size = { warm = 40, max = 100 } },
    -- Callers wait: towards what they opened, and without a limit. They wait for others' work: more
    -- than is open does not help them.
    { view = { pool = { max = 40, idle = 9, last = { wait = { p95 = 6 } } }, state = { size = 4 } },
      size = { warm = 6, target = 40, max = 40 } },
    { view = { pool = { idle = 2, last = { wait = { p95 = 6 } } } },
      size = { warm = 1, max = 10 } },
    { view = { pool = { max = 40, idle = 4, last = { wait = { p95 = 6 } } }, state = { size = 4 } },
      size = { warm = 4 } },
    -- Limits.
    { view = { pool = { max = 1, used = 1, waiting = 9 } },
      size = { target = 1, warm = 1, max = 1 } },
    { view = { pool = { used = 9 }, state = { size = 10 } }, size = { target = 10, warm = 10 } },
    { view = { pool = { used = 2 } },
      params = { high = 0, low = 9, grow = 0, shrink_per_s = 1, at_once = 0 },
      size = { warm = 10 } },
    { view = { pool = { used = 9 }, machine = { quota = 4 } }, size = { warm = 10, max = 10 } },
  },
}
