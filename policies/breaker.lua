-- breaker: stops connecting when many attempts fail.
--
-- What for: servers, or what stands before them, that fail now and then rather than for good. The
-- built-in breaker opens after three attempts in a row without an answer; one that gets through in
-- between begins the count anew. This one looks at the share that failed in the last ten seconds:
-- where two of three fail in turn it spares the server attempts that the built-in one makes, and
-- where failures come in runs it is the more patient one. While it is open nobody tries and who finds
-- no idle connection is told at once; then one attempt finds out. With `slow_ms` it opens as well
-- when connects take long.
-- Pauses are random, "full jitter" (M. Brooker, "Exponential Backoff And Jitter", AWS Architecture
-- Blog, 2015).
--
-- Sizes and evictions are the built-in policy's.
--
-- Params:
--   failing           share of the attempts that failed above which it opens, from 0 to 1
--   least             attempts in ten seconds below which nothing is judged by shares
--   in_a_row          failures in a row after which it opens in any case
--   slow_ms           p95 of connects above which it opens, in milliseconds; 0: never
--   slow_pause_ms     for how long it does then, in milliseconds: from half of it to all
--   first_retry_ms    the longest of the first random pause after failures, in milliseconds; each
--                     is twice as long
--   longest_retry_ms  ... up to this, in milliseconds
--
-- When not to use it: in a pool without idle connections, where an open breaker serves nobody; and
-- `slow_ms` only for callers who would rather hear an error than wait for as long as a connect takes:
-- it spares the server little, for no more than `connect_concurrency` handshakes are under way in any
-- case.
return {
  name = "breaker", api = 1,
  params = { failing = 0.5, least = 10, in_a_row = 5, slow_ms = 0, slow_pause_ms = 4000,
             first_retry_ms = 100, longest_retry_ms = 1000 },

  breaker = function(view, params)
    local breaker, last, state = view.breaker, view.pool.last, view.state
    local seconds = last.length_ms / 1000
    if breaker.state ~= "closed" then state.judged_ms = view.now_ms end

    if breaker.attempt_failed then
      local failed = last.connect_failures_per_s * seconds
      local all = failed + last.connects_per_s * seconds
      local is_bad = breaker.state ~= "closed" or breaker.failures >= params.in_a_row
          or (all >= params.least and failed > params.failing * all)
      if not is_bad then return "closed" end
      local tries = math.min(math.max(breaker.failures - params.in_a_row, 0), 20)
      local most = math.min(params.first_retry_ms * 2 ^ tries, params.longest_retry_ms)
      return "open", math.floor(view.chance * (math.max(most, 0) + 1))
    end

    -- What was slow before the last verdict does not count twice.
    local is_news = not state.judged_ms or view.now_ms - state.judged_ms > last.length_ms
    local is_slow = params.slow_ms > 0 and last.connect.count > 0
        and last.connect.p95 > params.slow_ms
    if breaker.state == "closed" and is_slow and is_news then
      state.judged_ms = view.now_ms
      return "open", math.max(params.slow_pause_ms, 0) * (1 + view.chance) / 2
    end
    return breaker.state, breaker.retry_ms
  end,

  self_check = {
    -- Nothing happens, nothing changes.
    { breaker = "closed" },
    { view = { breaker = { state = "open", retry_ms = 70 } }, breaker = { "open", 70 } },
    { view = { breaker = { state = "half_open" } }, breaker = "half_open" },
    -- One failure; half of many; more than that; too few to say.
    { view = { breaker = { attempt_failed = true, failures = 1 } }, breaker = "closed" },
    { view = { pool = { last = { length_ms = 10000, connect_failures_per_s = 1,
      connects_per_s = 1 } },
               breaker = { attempt_failed = true, failures = 1 } },
      breaker = "closed" },
    { view = { chance = 0.5,
               pool = { last = { length_ms = 10000, connect_failures_per_s = 2,
               connects_per_s = 1 } },
               breaker = { attempt_failed = true, failures = 1 } },
      breaker = { "open", 50 } },
    { view = { pool = { last = { length_ms = 2000, connect_failures_per_s = 1 } },
               breaker = { attempt_failed = true, failures = 2 } },
      breaker = "closed" },
    -- In a row, again and again, and for ever: the pause doubles, up to the longest.
    { view = { chance = 0.5, breaker = { attempt_failed = true, failures = 5 } },
      breaker = { "open", 50 } },
    { view = { chance = 0.5, breaker = { attempt_failed = true, failures = 7,
      state = "half_open" } },
      breaker = { "open", 200 } },
    { view = { chance = 0.5, breaker = { attempt_failed = true, failures = 255,
      state = "half_open" } },
      breaker = { "open", 500 } },
    -- The probe failed.
    { view = { breaker = { attempt_failed = true, failures = 1, state = "half_open" } },
      breaker = { "open", 0 } },
    -- Slow connects open it once in a window, if asked to.
    { view = { now_ms = 50000, chance = 0.5,
               pool = { last = { length_ms = 10000, connect = { count = 3, p95 = 1500 } } } },
      params = { slow_ms = 1000 }, breaker = { "open", 3000 } },
    { view = { now_ms = 50000,
      pool = { last = { length_ms = 10000, connect = { count = 3, p95 = 1500 } } },
               state = { judged_ms = 45000 } },
      params = { slow_ms = 1000 }, breaker = "closed" },
    { view = { pool = { last = { connect = { count = 3, p95 = 1500 } } } },
      breaker = "closed" },
    { view = { pool = { last = { connect = { count = 3, p95 = 900 } } } },
      params = { slow_ms = 1000 }, breaker = "closed" },
  },
}
