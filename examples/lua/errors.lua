-- Errors: an error that no pcall of its goroutine catches ends gort.run(), which raises it in its caller. A pcall may
-- wait in between like any other function. When all wait for each other, that is an error too.
local gort = require "gort"

local function short(message) -- the message and where, without what versions of Lua say differently
  for line in (message .. "\n"):gmatch "(.-)\n" do
    if not line:find "%[C%]" then print((line:gsub("^goroutine %d+", "goroutine N"):gsub(": in .*", ""))) end
  end
end

print(gort.run(function()
  return pcall(function()
    gort.sleep(0.001)
    error("caught", 0)
  end)
end))

local function fail(what)
  gort.yield()
  error("no " .. what)
end

local ok, message = pcall(gort.run, function()
  gort.go(function() fail("bread") return true end)
  gort.chan():recv()
end)
print(ok)
short(message)

ok, message = pcall(gort.run, function()
  local ch = gort.chan()
  gort.go(function()
    gort.select { { send = ch, value = 1 }, { recv = gort.chan() } }
    print(ch:recv())
  end)
  ch:recv()
  local t = setmetatable({}, { __index = function(_, key) return gort.chan():recv(key) end })
  print(t.field)
end)
print(ok)
short(message)
