return table.concat({1, 2, table.unpack({3, 4})}, ','), ('ab'):rep(3, '-'), string.format('%5.1f', 2.5), select('#', 1, nil)
