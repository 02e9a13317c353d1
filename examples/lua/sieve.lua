-- The prime sieve: a chain of goroutines, one for each prime found, through which all numbers pass. The first number
-- that reaches the end of the chain is the next prime, and a filter for it joins the chain. Main returns while they
-- all still wait for each other: then they are gone, as in Go.
local gort = require "gort"

local function generate(out)
  local n = 2
  while true do
    out:send(n)
    n = n + 1
  end
end

local function sift(prime, from, to)
  for n in from:iter() do
    if n % prime ~= 0 then to:send(n) end
  end
end

gort.run(function()
  local chain, primes = gort.chan(), {}
  gort.go(generate, chain)
  for i = 1, 100 do
    local prime, longer = chain:recv(), gort.chan()
    primes[i] = prime
    gort.go(sift, prime, chain, longer)
    chain = longer
  end
  for i = 1, 100, 10 do print(table.concat(primes, " ", i, i + 9)) end
end)
