-- What the workers of a run have done, added up. What a page has counted (its callback, items and pipelines, and start())
-- is added as the page is done, by exchange.lua: whoever dies has counted nothing that others do again, and a page whose
-- lease was lost counts once. Until then its images and galleries can be seen: what a worker reports of them less what it
-- acknowledged since. What belongs to no page each worker adds as it is new since its last report; of one that is killed
-- the last of it is not there.
--
-- KEYS[1]  hash <prefix>stats:<run>: sums by name; 'verdict/error' is the first that was told; 'reason/<reason>': how many
--          workers closed for that reason
-- ARGV     prefix, seconds that a run is remembered, milliseconds that the clock may go at once, milliseconds after which
--          a worker that says nothing is not waited for, worker, number of the report that this one follows, its own
--          number, the reason if the worker has closed, error, images and galleries of its pages in all
--          ("<name>\n<number>\n…"), then names and what to add
--   <KEYS[1]>:workers  hash: worker -> number of its last report
--   <KEYS[1]>:open     zset: worker that has not closed -> the time of its last report
--   <KEYS[1]>:reported      hash: worker that has not closed -> images and galleries of its pages
--   <KEYS[1]>:acknowledged  hash: worker -> what of that was of pages that are done
--   <KEYS[1]>:told     string: the worker that tells others of the run's end (notifications); not of this script
-- -> number of the worker's last report, which is its own unless another was expected; how many others are waited for;
--    how many workers have reported; the names of those that are 'placeholder/<what they have learned>';
--    the server's clock, in milliseconds
local stats, prefix, worker, before, number = KEYS[1], ARGV[1], ARGV[5], ARGV[6], ARGV[7]
local workers, open, reported = stats .. ':workers', stats .. ':open', stats .. ':reported'
redis.call('DEL', prefix .. 'nothing') -- a server that is full refuses the first write of a script, and no later one
local now, wall = tick(prefix .. 'clock', tonumber(ARGV[3]))
for name, kind in pairs({[stats] = 'hash', [workers] = 'hash', [open] = 'zset', [reported] = 'hash'}) do
    local is = redis.call('TYPE', name).ok
    if is ~= kind and is ~= 'none' then redis.call('DEL', name) end
end
local last = redis.call('HGET', workers, worker) or '0'
if #last > 15 or not string.find(last, '^[1-9]%d*$') then last = '0' end -- others' values would never be followed
if last == before then
    last = number
    redis.call('HSET', workers, worker, number)
    redis.call('HDEL', reported, worker)
    if ARGV[10] ~= '' then redis.call('HSET', reported, worker, ARGV[10]) end
    for i = 11, #ARGV, 2 do
        local done = redis.pcall('HINCRBY', stats, ARGV[i], ARGV[i + 1])
        if type(done) == 'table' and done.err then redis.call('HSET', stats, ARGV[i], ARGV[i + 1]) end
    end
    if ARGV[9] ~= '' then redis.call('HSETNX', stats, 'verdict/error', ARGV[9]) end
    if ARGV[8] == '' then
        redis.call('ZADD', open, string.format('%.0f', now), worker)
    elseif redis.call('ZREM', open, worker) == 1 or before == '0' then
        redis.call('HINCRBY', stats, 'reason/' .. ARGV[8], 1)
    end
    for _, key in ipairs({stats, workers, open, reported}) do redis.call('EXPIRE', key, ARGV[2]) end
end
local awaited = redis.call('ZCOUNT', open, string.format('%.0f', now - tonumber(ARGV[4])), '+inf')
local learned = {}
for _, name in ipairs(redis.call('HKEYS', stats)) do
    if #learned < 1000 and string.sub(name, 1, 12) == 'placeholder/' then learned[#learned + 1] = name end
end
return {last, awaited, redis.call('HLEN', workers), learned, wall}
