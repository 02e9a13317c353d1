-- Lua and C in one pipeline: Lua sends, goroutines in C compute on all CPUs and answer, Lua adds up.
-- What C does not understand (a table) it passes on.
local gort = require "gort"
local workers = require "workers"

gort.run(function()
  local asked, answered = gort.chan(4), gort.chan(4)
  workers.start(asked, answered, 3)
  local note = { text = "a table comes back as itself" }

  gort.go(function()
    for i = 1, 200 do asked:send(i * 10) end
    asked:send("desserts")
    asked:send(2.5)
    asked:send(note)
    asked:close()
  end)

  local answers, sum, others = 0, 0, {}
  for v in answered:iter() do
    answers = answers + 1
    if math.type(v) == "integer" then sum = sum + v else others[v] = true end
  end
  print(answers .. " answers, primes in all: " .. sum)
  print(others.stressed, others[2.5], others[note] and note.text)

  -- One call that takes long need not hold up the others.
  local ticks, stop = 0, gort.chan()
  gort.go(function()
    while gort.select { { recv = stop }, timeout = 0 } == nil do
      ticks = ticks + 1
      gort.sleep(0.001)
    end
    stop:close()
  end)
  print(workers.primes(300000), "primes below 300000")
  stop:send(true)
  stop:recv()
  print("the others went on:", ticks > 0)
end)
