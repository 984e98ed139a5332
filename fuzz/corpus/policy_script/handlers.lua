xpcall(error, function() while true do end end) table.sort({3, 1, 2}, function(a, b) return a < b end)
