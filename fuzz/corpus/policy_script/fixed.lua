-- fixed: a pool of the configured size, as the built-in policy has it.
--
-- What for: as a beginning for a policy of your own. It decides exactly as weir does without a
-- policy: `min` connections are kept warm, more are opened on demand up to `max` (pool_size +
-- max_overflow, as SQLAlchemy has it), what comes back above `keep` is closed, and so is what idled
-- for longer than `idle_timeout` while more than `min` stay, or outlived its lifetime.
--
-- Params:
--   failures_to_open   attempts in a row without an answer after which the breaker opens
--   first_retry_ms     the longest of the first random pause, in milliseconds; each is twice as long
--   longest_retry_ms   ... up to this, in milliseconds
--
-- When not to use it: when you change nothing in it. The built-in policy does the same for less.
return {
  name = "fixed", api = 1,
  params = { failures_to_open = 3, first_retry_ms = 100, longest_retry_ms = 1000 },

  size = function(view)
    local pool = view.pool
    return {
      target = pool.keep,
      warm = pool.min,
      max = pool.max,
      max_per_worker = pool.max_per_worker,
      handover_after_ms = pool.handover_after_ms,
    }
  end,

  evict = function(conn, view)
    if conn.lifetime_ms ~= 0 and conn.age_ms >= conn.lifetime_ms then return "close" end
    local pool = view.pool
    -- Those that are closing or lingering are on their way out, and do not count for min.
    local staying = pool.idle + pool.used + pool.connecting
    local idle_too_long = pool.idle_timeout_ms ~= 0 and conn.idle_ms >= pool.idle_timeout_ms
    return idle_too_long and staying > pool.min and "close" or "keep"
  end,

  breaker = function(view, params)
    local breaker = view.breaker
    if not breaker.attempt_failed then return breaker.state, breaker.retry_ms end
    if breaker.state == "closed" and breaker.failures < params.failures_to_open then
      return "closed"
    end
    local tries = math.max(breaker.failures - params.failures_to_open, 0)
    local most = math.min(params.first_retry_ms * 2 ^ math.min(tries, 10), params.longest_retry_ms)
    return "open", math.floor(view.chance * (most + 1))
  end,

  self_check = {
    { view = { pool = { max = 8, min = 2, keep = 5 } }, size = { target = 5, warm = 2, max = 8 } },
    { view = { pool = { idle = 2, min = 1, idle_timeout_ms = 100 } }, conn = { idle_ms = 100 },
      evict = "close" },
    { view = { pool = { idle = 2, min = 2, idle_timeout_ms = 100 } }, conn = { idle_ms = 100 },
      evict = "keep" },
    { conn = { age_ms = 5000, lifetime_ms = 5000 }, evict = "close" },
    { view = { breaker = { attempt_failed = true, failures = 2 } }, breaker = "closed" },
    { view = { chance = 0.5, breaker = { attempt_failed = true, failures = 4 } },
      breaker = { "open", 100 } },
  },
}
