-- 10,000 goroutines, which all wait at the same time; and garbage: what a forgotten channel holds is collected.
local gort = require "gort"

print(gort.run(function(n)
  local gate, results = gort.chan(), gort.chan(100)
  for i = 1, n do
    gort.go(function()
      gate:recv()
      results:send(i)
    end)
  end
  gate:close()
  local sum = 0
  for _ = 1, n do sum = sum + results:recv() end

  local alive = setmetatable({}, { __mode = "k" })
  for _ = 1, 1000 do
    local ch, object = gort.chan(1), {}
    alive[object] = true
    ch:send(object)
  end
  for _ = 1, 4 do
    collectgarbage()
    gort.yield() -- what was dropped is given up at the next turn of a goroutine
  end
  return sum, next(alive)
end, 10000))
