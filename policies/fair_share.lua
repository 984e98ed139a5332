-- fair_share: who wants little gets it, and the rest of the quota is shared out evenly.
--
-- What for: several pools on one quota, of which one could take everything; if asked to, several
-- workers of one pool. Shares are max-min fair (D. Bertsekas and R. Gallager, "Data Networks", 1992,
-- 6.5.2): nobody can get more without somebody getting less who has no more than that. A pool wants
-- what it uses and what waits for it; what all together leave is shared out evenly on top, as room
-- to grow.
-- With `workers` the workers of the pool are capped in the same way while they want far more than
-- its share. That is for pools whose connections cannot move: where they are handed over as they are,
-- the pool's line shares them better, and a cap closes those that come to a worker beyond it.
--
-- All pools of the quota should run it: each decides its own share from what all see of all, and so
-- the shares add up to no more than the quota. What a pool has above its share it gives up as it
-- comes back.
--
-- Params:
--   at_least   what each pool is taken to want at least, in connections: it can begin at once
--   workers    true: also cap the workers of the pool
--   crowded    ... while they want more than so many times its share; 1 or more
--
-- When not to use it: for one pool alone on its quota whose workers are all alike; and where a pool
-- should get all that others do not use within less than a second: shares change once in a tick,
-- the built-in policy leaves it to the quota's line.
local function in_order(a, b)
  if a.left ~= b.left then return a.left < b.left end
  return a.index < b.index
end

-- Shares `amount` among `those`, each of which takes at most `left` more, the smallest first.
local function pour(amount, those)
  table.sort(those, in_order)
  for i, one in ipairs(those) do
    local part = math.min(one.left, amount // (#those - i + 1))
    one.share = one.share + part
    amount = amount - part
  end
  return amount
end

local function own_share(view, params)
  local pool, claims, mine = view.pool, {}, nil
  for index, other in ipairs(view.machine.pools) do
    local wants = math.min(math.max(other.used + other.waiting, params.at_least, 0), other.max)
    claims[index] = { index = index, max = other.max, left = math.floor(wants), share = 0 }
    if other.name == pool.name then mine = claims[index] end
  end
  if not mine then return pool.max end
  local rest = pour(view.machine.quota, claims)
  for _, claim in ipairs(claims) do claim.left = claim.max - claim.share end
  pour(rest, claims)
  return math.min(mine.share, pool.max)
end

-- The most that a worker may have so that all together have at most `share`; 0: they are not
-- crowded.
local function cap_of_each(share, workers, crowded)
  local wanted, claims = 0, {}
  for index, worker in ipairs(workers) do
    local wants = worker.used + worker.waiting
    wanted = wanted + wants
    claims[index] = { index = index, left = wants, share = 0 }
  end
  if wanted <= share * math.max(crowded, 1) then return 0 end
  pour(share, claims)
  local most = 1
  for _, claim in ipairs(claims) do most = math.max(most, claim.share) end
  return most
end

return {
  name = "fair_share", api = 1,
  params = { at_least = 1, workers = false, crowded = 2 },

  size = function(view, params)
    local share = own_share(view, params)
    return {
      target = share,
      warm = math.min(view.pool.min, share),
      max = share,
      max_per_worker = params.workers and cap_of_each(share, view.workers, params.crowded) or 0,
    }
  end,

  self_check = {
    -- Alone, and with nothing known of anybody.
    { size = { target = 10, warm = 0, max = 10, max_per_worker = 0 } },
    { view = { machine = { pools = { { name = "main", max = 10 } } } }, size = { max = 10 } },
    { view = { pool = { min = 3 } }, size = { warm = 3 } },
    -- Two that want all get half each; one that wants little gets that, and the other the rest.
    { view = { machine = { quota = 10, pools = {
        { name = "main", max = 10, used = 5, waiting = 20 },
        { name = "b", max = 10, used = 5, waiting = 3 } } } },
      size = { target = 5, max = 5 } },
    { view = { machine = { quota = 10, pools = {
        { name = "main", max = 10, used = 8, waiting = 20 },
        { name = "b", max = 10, used = 2 } } } },
      size = { max = 8 } },
    -- One that wants nothing keeps what lets it begin; what nobody wants is room to grow.
    { view = { machine = { quota = 10, pools = { { name = "main", max = 10 },
        { name = "b", max = 10, used = 10 } } } },
      size = { max = 1 } },
    { view = { machine = { quota = 10, pools = {
        { name = "main", max = 10, used = 2 },
        { name = "b", max = 10, used = 2 } } } },
      size = { max = 5 } },
    -- Fewer than pools, and a max below the share.
    { view = { machine = { quota = 1, pools = {
        { name = "a", max = 10 }, { name = "main", max = 10 } } } },
      size = { target = 1, max = 1 } },
    { view = { pool = { max = 1 }, machine = { quota = 10, pools = {
        { name = "main", max = 1, used = 1, waiting = 5 } } } },
      size = { max = 1 } },
    { view = { pool = { min = 8 }, machine = { quota = 4, pools = {
        { name = "main", max = 10 } } } },
      size = { target = 4, warm = 4, max = 4 } },
    -- Workers, if asked for: no cap while there is enough, else an even one above those who want
    -- less.
    { view = { workers = { { used = 5, here = true }, { used = 5 } } },
      params = { workers = true }, size = { max_per_worker = 0 } },
    { view = { workers = { { used = 6, waiting = 9, here = true }, { used = 3 }, { used = 1 } } },
      params = { workers = true }, size = { max_per_worker = 0 } },
    { view = { workers = { { used = 6, waiting = 19, here = true }, { used = 3 }, { used = 1 } } },
      params = { workers = true }, size = { max_per_worker = 6 } },
    { view = { pool = { max = 1 }, workers = { { waiting = 2, here = true }, { waiting = 1 } } },
      params = { workers = true }, size = { max_per_worker = 1 } },
    { view = { workers = { { used = 6, waiting = 29, here = true }, { used = 3 } } },
      size = { max_per_worker = 0 } },
  },
}
