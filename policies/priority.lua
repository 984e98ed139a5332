-- priority: keeps connections open for classes below their floor, and lends them meanwhile.
--
-- What for: pools with classes. Of those who wait, callers of a class that has less than its floor
-- go first, by the pool itself; but when nothing is open or on its way back they pay a connect, or
-- wait for somebody's work to end. This policy keeps what the floors still lack open beside what is
-- used: of each class that has asked for something in the last `lend_after_s`. A class that has not
-- asked lends its floor: nothing is kept for it. While a caller of a class below its floor waits,
-- callers elsewhere may not pass.
--
-- What it cannot do: reserve. What is kept open for a class anybody may take, the pool gives to a
-- class below its floor first when it comes back, and nobody's work is interrupted. A floor that
-- must be free at any moment is a pool of its own with `reserve`, or one whose quota nobody shares.
--
-- Params:
--   lend_after_s   after how many seconds without a caller a class lends its floor
--   spare          how many more are kept open for each class below its floor, in connections
--
-- When not to use it: without classes it does what the built-in policy does; and with floors that
-- add up to `max` it keeps everything open as long as all classes are asked for.
return {
  name = "priority", api = 1,
  params = { lend_after_s = 60, spare = 0 },

  size = function(view, params)
    local pool, state = view.pool, view.state
    local missing, is_owed = 0, false
    for _, class in ipairs(view.classes) do
      local key = "asked " .. class.name
      if class.used + class.waiting > 0 then state[key] = view.now_ms end
      local asked_ms = state[key]
      local lends = not asked_ms or view.now_ms - asked_ms > params.lend_after_s * 1000
      if lends then
        state[key] = nil
      elseif class.used < class.floor then
        missing = missing + class.floor - class.used + math.max(params.spare, 0)
        is_owed = is_owed or class.waiting > 0
      end
    end
    local warm = missing > 0 and math.min(pool.used + missing, pool.max) or 0
    return {
      warm = math.max(warm, pool.min),
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
