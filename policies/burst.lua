-- burst: keeps open what the last bursts needed.
--
-- What for: loads that come in bursts with pauses longer than `idle_timeout`, such as logins, cron
-- jobs or cold caches. The built-in policy closes in the pause what the next burst has to open
-- again, and its callers wait for that. This one remembers the peak of what was used and waited
-- for, forgets it slowly, and keeps as many open ahead of demand.
--
-- A tick is a second and a burst may be shorter, so that no tick sees it. What it leaves behind is
-- seen: more connections than were there, opened by callers who waited for them.
--
-- Params:
--   half_life_s   after how many seconds without a burst half of the peak is forgotten
--   headroom      how many times the peak is kept open; 1 or more
--
-- When not to use it: where idle connections cost the server much or others on the quota need them,
-- and where load comes and goes within minutes rather than seconds (adaptive). With pauses shorter
-- than `idle_timeout` nothing is closed anyway, and the built-in policy does the same for less.
return {
  name = "burst", api = 1,
  params = { half_life_s = 300, headroom = 1 },

  size = function(view, params)
    local pool, state = view.pool, view.state
    local last = pool.last
    local staying = pool.idle + pool.used + pool.connecting

    local demand = math.max(pool.used + pool.waiting, last.used_most)
    -- What another worker opened ahead is not demand: that nobody waited for.
    local opened_on_demand = staying > (state.staying or 0) and staying > (state.warm or 0)
        and last.waited_per_s > 0
    if opened_on_demand then demand = math.max(demand, staying) end

    local passed_s = (view.now_ms - (state.now_ms or view.now_ms)) / 1000
    local kept = (state.peak or 0) * 0.5 ^ (passed_s / math.max(params.half_life_s, 0.001))
    local peak = math.min(math.max(kept, demand), pool.max)
    local warm = math.min(math.ceil(peak * math.max(params.headroom, 1)), pool.max)

    state.now_ms, state.peak, state.staying, state.warm = view.now_ms, peak, staying, warm
    return { warm = math.max(warm, pool.min) }
  end,

  self_check = {
    -- Nothing has happened: what the built-in policy does.
    { size = { target = 10, warm = 0, max = 10, handover_after_ms = 10 } },
    { view = { pool = { min = 2 } }, size = { warm = 2 } },
    -- A burst that a tick sees, and one that only the last ten seconds know of.
    { view = { pool = { used = 3, waiting = 2 } }, size = { warm = 5 } },
    { view = { pool = { last = { used_most = 7 } } }, size = { warm = 7 } },
    -- One that came and went between two ticks, and what was opened ahead.
    { view = { pool = { idle = 6, last = { waited_per_s = 1 } },
      state = { staying = 2, warm = 2 } },
      size = { warm = 6 } },
    { view = { pool = { idle = 6 }, state = { staying = 2, warm = 2 } }, size = { warm = 0 } },
    -- Half of it is forgotten after the half-life.
    { view = { now_ms = 400000, state = { now_ms = 100000, peak = 8 } }, size = { warm = 4 } },
    { view = { now_ms = 130000, state = { now_ms = 100000, peak = 8 } },
      params = { half_life_s = 30 },
      size = { warm = 4 } },
    -- Limits.
    { view = { pool = { max = 1, used = 1, waiting = 40 } }, size = { warm = 1, max = 1 } },
    { view = { pool = { used = 4 } }, params = { headroom = 1.5 }, size = { warm = 6 } },
    { view = { pool = { used = 9 } }, params = { headroom = 3 }, size = { warm = 10 } },
    { view = { pool = { used = 4 } }, params = { headroom = 0, half_life_s = 0 },
      size = { warm = 4 } },
    { view = { pool = { max = 10, used = 9 }, machine = { quota = 4 } }, size = { warm = 9 } },
  },
}
