local t = setmetatable({}, {__index = function(t, k) return k .. 1 end, __close = function() error('x') end}) local c <close> = t return t.x
