-- select: whichever comes first, a timeout, a default; the end of work told by closing a channel.
local gort = require "gort"

local function after(seconds, value)
  local ch = gort.chan(1)
  gort.go(function() gort.sleep(seconds) ch:send(value) end)
  return ch
end

gort.run(function()
  local slow, fast = after(60, "slow"), after(0.01, "fast")
  print(gort.select { { recv = slow }, { recv = fast } })
  print(gort.select { { recv = slow }, timeout = 0.01 })
  print(gort.select { { recv = slow }, default = true })

  local room = gort.chan(1)
  print(gort.select { { send = room, value = "hello" }, default = true })
  print(gort.select { { send = room, value = "world" }, default = true })
  room:close()
  print(room:recv())
  print(room:recv())
  print(pcall(room.send, room, "too late"))

  -- A producer that is told to stop.
  local numbers, quit, gone = gort.chan(), gort.chan(), gort.chan()
  gort.go(function()
    local n = 0
    while gort.select { { send = numbers, value = n }, { recv = quit } } == 1 do n = n + 1 end
    gone:close()
  end)
  local sum = 0
  for _ = 1, 100 do sum = sum + numbers:recv() end
  quit:close()
  gone:recv()
  print("sum", sum)
end)
