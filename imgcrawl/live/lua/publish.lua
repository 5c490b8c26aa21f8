-- A worker says how it is, and hears what a person asks of all.
--
-- KEYS[1]  hash <prefix>live: worker -> what it says of itself, JSON
-- ARGV     worker, what it says, seconds after which a silent worker is forgotten, seconds that all
--          this is kept, how many images, failures are kept, how many images follow, images, failures
--   <KEYS[1]>:at                zset: worker -> when it last said something, the server's milliseconds
--   <KEYS[1]>:newest, :failures lists: the last images and failures, JSON, the latest first
--   <KEYS[1]>:control           hash: what a person asks for: run, paused, delay_factor, stop (when, milliseconds)
-- -> the server's milliseconds, how many workers say something, the control: run, paused, delay_factor, stop
local live, worker = KEYS[1], ARGV[1]
local at, newest, failures, control = live .. ':at', live .. ':newest', live .. ':failures', live .. ':control'
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
for name, kind in pairs({[live] = 'hash', [at] = 'zset', [newest] = 'list', [failures] = 'list', [control] = 'hash'}) do
    local is = redis.call('TYPE', name).ok
    if is ~= kind and is ~= 'none' then redis.call('DEL', name) end
end
-- A server that is full keeps what it has for the queue: what is said here is not missed.
local function say()
    local oldest = string.format('%.0f', now - tonumber(ARGV[3]) * 1000)
    for _, silent in ipairs(redis.call('ZRANGEBYSCORE', at, '-inf', oldest, 'LIMIT', 0, 100)) do
        redis.call('HDEL', live, silent)
        redis.call('ZREM', at, silent)
    end
    local done = redis.pcall('HSET', live, worker, ARGV[2])
    if type(done) == 'table' and done.err then return end
    redis.call('ZADD', at, string.format('%.0f', now), worker)
    local first, images = 8, tonumber(ARGV[7])
    for i = first, #ARGV do redis.call('LPUSH', i < first + images and newest or failures, ARGV[i]) end
    redis.call('LTRIM', newest, 0, ARGV[5] - 1)
    redis.call('LTRIM', failures, 0, ARGV[6] - 1)
    for _, key in ipairs({live, at, newest, failures, control}) do redis.call('EXPIRE', key, ARGV[4]) end
end
say()
local asked = redis.call('HMGET', control, 'run', 'paused', 'delay_factor', 'stop')
for i = 1, 4 do asked[i] = asked[i] and #asked[i] <= 100 and asked[i] end -- what is longer is none of ours
return {string.format('%.0f', now), redis.call('ZCARD', at), asked}
