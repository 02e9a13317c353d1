-- Two goroutines and two channels without a buffer: each value is handed over, one waits for the other.
local gort = require "gort"

local function player(name, hear, say)
  for ball in hear:iter() do
    if ball <= 6 then print(name, ball) end
    say:send(ball + 1)
    if ball >= 999 then break end
  end
end

gort.run(function()
  local left, right, done = gort.chan(), gort.chan(), gort.chan()
  gort.go(function() player("ping", left, right) done:send("ping") end)
  gort.go(function() player("pong", right, left) done:send("pong") end)
  left:send(1)
  print(done:recv(), "has stopped")
  print("the ball is at", (left:recv()))
end)
