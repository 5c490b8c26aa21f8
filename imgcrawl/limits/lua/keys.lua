-- The limits of hosts, for many workers. Each call is atomic. Nothing here walks all hosts or all workers.
--
-- KEYS[1]  zset: worker -> the time at which it counts as dead
-- ARGV     operation, worker, seconds that a worker may be silent, then the operation's own
--
--   <KEYS[1]>:ranks          zset of the same workers, in an order that stays
--   <KEYS[1]>:clock          hash: at, server, wall (see set_clock), settled (until then nobody gets more)
--   <KEYS[1]>:hosts          zset: host -> when it was last asked for, or until when it is blocked
--   <KEYS[1]>:host:<host>    hash: last, paced, slowed, slowed_at, eased_at, blocked, epoch, doubts, troubles (see
--                            local.py); why, by, at (who slowed it); w:<worker> -> "<permits> <wanted> <since> <told>": who has permits
--   <KEYS[1]>:waiting:<host> zset: worker -> since when it waits for its first permit
--   <KEYS[1]>:wake:<worker>  list: hosts about which there is news, or '': of another worker
local WORKERS, op, me, lease = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3])
local HOSTS, CLOCK, RANKS = WORKERS .. ':hosts', WORKERS .. ':clock', WORKERS .. ':ranks'
local AGREED = 0.1 -- seconds by which two clocks may differ that agree
local HORIZON, MAX_STARTS, FIRST_DELAY, FULL_SPEED, MAX_RECOVERY, MAX_BLOCK = 0.25, 128, 0.1, 0.02, 1, 86400
local SAME_BLOCK, DOUBTS = 0.25, 3
local MOST_LATENCIES, WIDENED, FORGIVEN = 10, 8, 3
local LONG_HORIZON = 1 -- the same for 400 workers and more: fewer round trips, and more start times that pass unused
local FURTHEST = 60 -- seconds ahead, and two delays for each worker: no start time was given out that is later
local MIN_CHUNK = 0.05 -- seconds of start times that one of several workers gets at once, at least
local QUANTUM = 0.25 -- seconds that a worker keeps what it has where there are more workers than a host's concurrency
local FORGOTTEN = 600 -- seconds after which a host that nobody asks for is forgotten
local HEAR_OF_IT = 100 -- workers that hear at once that another is there: of more, one takes little from each
local MOST_FIELDS = 5000 -- of a host: no more workers have permits there
local ABANDONED = 86400 -- seconds, by the server's clock, after which keys go that no worker cares for
local min, max, floor, ceil = math.min, math.max, math.floor, math.ceil
local now, workers = 0, 1

redis.call('DEL', WORKERS .. ':nothing') -- a server that is full refuses the first write of a script, and no later one

local function number(value)
    local n = tonumber(value)
    if not n or n ~= n or n < 0 or n > 1e12 then return 0 end
    return n
end
local function text(n) return string.format('%.6f', n) end

-- A call whose failure names the key: there may be something in its place that is not ours. One host's is set aside.
local function call(command, name, ...)
    local reply = redis.pcall(command, name, ...)
    if type(reply) == 'table' and reply.err then
        if not string.find(reply.err, 'WRONGTYPE', 1, true) then return error(reply.err) end
        for _, of in ipairs({':host:', ':waiting:'}) do
            if string.find(name, WORKERS .. of, 1, true) == 1 then
                redis.call('RENAME', name, name .. ' is not ours')
                return redis.call(command, name, ...)
            end
        end
        error('WRONGTYPE a ' .. redis.call('TYPE', name).ok .. ' in the place of ' .. name)
    end
    return reply
end

