-- What workers tell each other about hosts. Each call is atomic. All notes together are bounded in number and bytes:
-- what was used least recently goes first.
--
-- KEYS[1]  hash: name -> "<until> <owner>\n<text>"; with an owner it is a claim: that worker finds out
-- KEYS[2]  zset of the limits' workers (workers.lua)
-- ARGV     operation, then its own
--
--   <KEYS[1]>:used   zset: name -> when it was used last
--   <KEYS[1]>:bytes  of names and values together
--
-- Times are the server's, whose clock may jump: what ends later than it could have been said to is not believed.
local NOTES, WORKERS, op = KEYS[1], KEYS[2], ARGV[1]
local USED, BYTES = NOTES .. ':used', NOTES .. ':bytes'
local LONGEST = 86400
local JOINING = 5 -- seconds within which a worker that claims has joined the others
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000

for name, kind in pairs({[NOTES] = 'hash', [USED] = 'zset', [BYTES] = 'string'}) do
    local is = redis.call('TYPE', name).ok
    if is ~= kind and is ~= 'none' then redis.call('DEL', name) end -- others have written there
end
if redis.call('STRLEN', BYTES) > 15 or not string.find(redis.call('GET', BYTES) or '0', '^%d+$') then
    redis.call('DEL', BYTES)
end

local function read(name, longest)
    local value = redis.call('HGET', NOTES, name)
    if not value then return nil end
    local until_, owner, at = string.match(value, '^(%S+) (%S*)\n()')
    until_ = tonumber(until_)
    if not until_ or not (until_ > now and until_ <= now + longest) then return nil end
    return string.sub(value, at), owner, until_
end

local function drop(name)
    local size = redis.call('HSTRLEN', NOTES, name)
    if size > 0 then redis.call('DECRBY', BYTES, size + #name) end
    redis.call('HDEL', NOTES, name)
    redis.call('ZREM', USED, name)
end

local function used()
    -- What is used now is the newest, though the clock may have gone back.
    local newest = tonumber(redis.call('ZREVRANGE', USED, 0, 0, 'WITHSCORES')[2] or 0)
    return string.format('%.6f', math.max(now, newest + 0.000001))
end

local function write(name, seconds, owner, value, max_bytes, max_count)
    drop(name)
    local line = string.format('%.3f %s\n', now + math.min(seconds, LONGEST), owner) .. value
    redis.call('HSET', NOTES, name, line)
    redis.call('ZADD', USED, used(), name)
    local total = redis.call('INCRBY', BYTES, #line + #name)
    while total > max_bytes or redis.call('ZCARD', USED) > max_count do
        local oldest = redis.call('ZRANGE', USED, 0, 0)[1]
        if not oldest then
            redis.call('DEL', NOTES, BYTES) -- somebody else removed a part
            break
        end
        drop(oldest)
        total = tonumber(redis.call('GET', BYTES)) or 0
    end
    for _, key in ipairs({NOTES, USED, BYTES}) do redis.call('EXPIRE', key, 2 * LONGEST) end
end

if op == 'recall' then
    local found = {}
    for i = 2, #ARGV do
        local value, owner = read(ARGV[i], LONGEST)
        local known = value and owner == ''
        if known then redis.call('ZADD', USED, 'XX', used(), ARGV[i]) end
        found[i - 1] = known and value or ''
    end
    return found
end

if op == 'remember' then
    write(ARGV[2], tonumber(ARGV[3]), '', ARGV[6], tonumber(ARGV[4]), tonumber(ARGV[5]))
    return 1
end

if op == 'claim' then
    local name, seconds, me = ARGV[2], tonumber(ARGV[3]), ARGV[6]
    local note, by = read(name, LONGEST)
    if note and by == '' and ARGV[7] == '0' then return 0 end -- somebody has found out by now
    local _, owner, ends = read(name, seconds)
    if owner and owner ~= '' and owner ~= me then
        -- Whoever is one of the workers can tell who is not; one that has just begun may not have joined them yet.
        local gone = ends - now < seconds - JOINING
            and not redis.call('ZSCORE', WORKERS, owner) and redis.call('ZSCORE', WORKERS, me)
        if not gone then return 0 end
    end
    write(name, seconds, me, '', tonumber(ARGV[4]), tonumber(ARGV[5]))
    return 1
end

return redis.error_reply('unknown operation ' .. op)
