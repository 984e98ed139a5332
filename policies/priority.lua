-- priority: keeps connections open for classes below their floor, and lends them meanwhile.
--
-- What for: pools with classes. Of those who wait, callers of a class that has less than its floor
-- go first, by the pool itself; but when nothing is open or on its way back they pay a connect, or
-- wait for somebody's work to end. This policy keeps what the floors still lack open beside the most
-- that was used above them in the last ten to twenty seconds: of each class that has asked for
-- something in the last `lend_after_s`. A class that has not asked lends its floor: nothing is kept
-- for it. While a caller of a class below its floor waits, callers elsewhere may not pass.
--
-- What it cannot do: reserve. What is kept open for a class anybody may take, the pool gives to a
-- class below its floor first when it comes back, and nobody's work is interrupted. A floor that
-- must be free at any moment is a pool of its own with `reserve`, or one whose quota nobody shares.
--
-- Params:
--   lend_after_s   after how many seconds without a caller a class lends its floor
--   spare          how many more are kept open for each class below its floor, in connections
--
-- When not to use it: without classes it does what the built-in policy does; with floors that add up
-- to `max` it keeps everything open as long as all classes are asked for; where others want all that
-- there is, nothing idles for a class to find; and where it is known how many are in use, `min` does
-- as well.
local window_ms = 10000

-- The most of `now` in this window and the one before: callers who are between two requests when a
-- tick looks are about to be back.
local function most_lately(state, now_ms, now)
  if now_ms - (state.since_ms or now_ms) >= window_ms then
    state.before, state.most, state.since_ms = state.most, now, now_ms
  end
  state.since_ms = state.since_ms or now_ms
  state.most = math.max(state.most or 0, now)
  return math.max(state.most, state.before or 0)
end

return {
  name = "priority", api = 1,
  params = { lend_after_s = 60, spare = 0 },

  size = function(view, params)
    local pool, state = view.pool, view.state
    local floors, above, spares, is_short, is_owed = 0, pool.used, 0, false, false
    for _, class in ipairs(view.classes) do
      local key = "asked " .. class.name
      if class.used + class.waiting > 0 then state[key] = view.now_ms end
      local asked_ms = state[key]
      local lends = not asked_ms or view.now_ms - asked_ms > params.lend_after_s * 1000
      if lends then
        state[key] = nil
      else
        floors = floors + class.floor
        above = above - math.min(class.used, class.floor)
        if class.used < class.floor then
          spares = spares + math.max(params.spare, 0)
          is_short, is_owed = true, is_owed or class.waiting > 0
        end
      end
    end
    local warm = is_short and most_lately(state, view.now_ms, above) + floors + spares or 0
    return {
      warm = math.max(math.min(warm, pool.max), pool.min),
      handover_after_ms = is_owed and 0 or pool.handover_after_ms,
    }
  end,

  self_check = {
    -- No classes, and classes that nobody asks for.
    { size = { target = 10, warm = 0, max = 10, handover_after_ms = 10 } },
    { view = { pool = { min = 2 }, classes = { { name = "web", floor = 5 } } },
      size = { warm = 2 } },
    -- One that has shown demand: the rest of its floor beside what all use.
    { view = { pool = { used = 4 }, classes = { { name = "web", floor = 3, used = 1 },
                                                { name = "batch", used = 3 } } },
      size = { warm = 6, handover_after_ms = 10 } },
    { view = { now_ms = 90000, pool = { used = 4 }, state = { ["asked web"] = 31000 },
               classes = { { name = "web", floor = 3 } } },
      size = { warm = 7 } },
    { view = { now_ms = 92000, pool = { used = 4 }, state = { ["asked web"] = 31000 },
               classes = { { name = "web", floor = 3 } } },
      size = { warm = 0 } },
    -- What was used a moment ago, above the floor, is about to be used again.
    { view = { now_ms = 5000, pool = { used = 2 },
               state = { most = 4, since_ms = 1000, ["asked web"] = 4000 },
               classes = { { name = "web", floor = 3 } } },
      size = { warm = 7 } },
    { view = { now_ms = 30000, pool = { used = 2 },
               state = { before = 6, most = 4, since_ms = 20000, ["asked web"] = 29000 },
               classes = { { name = "web", floor = 3 } } },
      size = { warm = 7 } },
    -- Somebody waits below the floor, or above it.
    { view = { pool = { used = 4 },
               classes = { { name = "web", floor = 3, used = 1, waiting = 1 } } },
      size = { warm = 6, handover_after_ms = 0 } },
    { view = { pool = { used = 4 },
               classes = { { name = "web", floor = 3, used = 4, waiting = 1 } } },
      size = { warm = 0, handover_after_ms = 10 } },
    -- Limits.
    { view = { pool = { max = 1, used = 1 },
               classes = { { name = "web", floor = 1, waiting = 1 } } },
      size = { warm = 1, max = 1 } },
    { view = { pool = { used = 4 }, machine = { quota = 3 },
               classes = { { name = "web", floor = 30, used = 1 } } },
      size = { warm = 10 } },
    { view = { pool = { used = 1 }, classes = { { name = "web", floor = 3, used = 1 } } },
      params = { spare = 2 }, size = { warm = 5 } },
  },
}
