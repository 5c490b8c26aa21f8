-- Everything that happens to the queue of one spider, or to one shard of it, each operation atomic. Of several shards
-- the first is the home of the run: who seeds, who feeds and when it ends is decided there.
--
-- KEYS[1]  the queue: a zset of the hosts that have lists of pages of their own, by the highest priority of those
-- ARGV     operation, prefix of all other keys (in the queue's hash slot), milliseconds of silence after which a worker
--          expires, milliseconds that the clock may go at once, failures after which a page is dead, bytes a page may
--          have, key of what was seen, then the operation's own
--
--   <prefix>run              hash: the run's id, state, roles, counts and arguments
--   <prefix>clock            string: see clock.lua
--   <prefix>queue:<p>:<h>    list: pages of priority p and host h, each "<request>" or "<failures>,<deaths>\n<request>"
--   <prefix>priorities:<h>   zset: the other priorities of which host h has lists, highest first
--   <prefix>backlog:<p>      list: pages of priority p of hosts without a list, each "<host>\n<page>"
--   <prefix>hosts            hash: priority -> how many hosts have a list
--   <prefix>quarantined      list: pages in hand at several deaths, "<failures>,<deaths>,<p>,<h>\n<request>"
--   <prefix>leases:<worker>  hash: token -> "<failures>,<deaths>,<since>,<p>,<h>\n<request>"
--   <prefix>workers          zset: worker -> the time at which it expires
--   <prefix>sequences        hash: worker -> how many operations it has reported in this run
--   <prefix>waiting          zset: worker that waits for pages -> how many it has; it waits at <prefix>wake:<worker>
--   <seen>:<g>:<n>           hashes: fingerprints of generation g; the hash <seen> says how many of both there are
--   <prefix>dead, rejected   lists: pages given up, values that are not ours
--   <prefix>garbage          list: generations of fingerprints that are forgotten, and not yet removed
--   <prefix>stats:<run>      hash: see verdict.lua
--   <prefix>stats:<run>:ends  hash: page that galleries have led to -> digests of the first three of them
local index, op, prefix = KEYS[1], ARGV[1], ARGV[2]
local expiry, longest_step = tonumber(ARGV[3]), tonumber(ARGV[4])
local max_failures, max_size, SEEN = tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7]
local at = 7
local RUN, WORKERS, WAITING, SEQUENCES = prefix .. 'run', prefix .. 'workers', prefix .. 'waiting', prefix .. 'sequences'
local HOSTS, QUARANTINED, DEAD = prefix .. 'hosts', prefix .. 'quarantined', prefix .. 'dead'
local REJECTED, GARBAGE, CLOCK = prefix .. 'rejected', prefix .. 'garbage', prefix .. 'clock'
local FORMAT = '2' -- of all this. 1, which runs did not name, had "<priority>:<host>" in the queue: workers.lua
local LONGEST = 1048576 -- bytes of a field of the run
local MAX_PRIORITY, TURNS, BUCKET, KEPT, ANSWER, MAX_ENDS = 1048576, 4294967296, 100, 1000, 262144, 100000

-- Others' values in the place of our keys end the caller before anything is changed.
local KINDS = {
    [index] = 'zset', [WORKERS] = 'zset', [WAITING] = 'zset', [RUN] = 'hash', [SEQUENCES] = 'hash', [HOSTS] = 'hash',
    [SEEN] = 'hash', [QUARANTINED] = 'list', [DEAD] = 'list', [REJECTED] = 'list', [GARBAGE] = 'list', [CLOCK] = 'string',
}
for name, kind in pairs(KINDS) do
    local is = redis.call('TYPE', name).ok
    if is ~= kind and is ~= 'none' then
        return redis.error_reply('FOREIGN key ' .. name .. ' holds a ' .. is .. ', expected a ' .. kind)
    end
end
local fail -- says what of our keys is not ours; what was done before is counted
local function call(command, name, ...)
    local reply = redis.pcall(command, name, ...)
    if type(reply) == 'table' and reply.err then
        if string.find(reply.err, 'WRONGTYPE', 1, true) then
            fail(name .. ' holds a ' .. redis.call('TYPE', name).ok .. ', expected another kind of value')
        end
        error(reply.err)
    end
    return reply
end

-- A server that is full refuses the first write of a script if that may need memory, and no later one.
local is_full = false
local probe = redis.pcall('SETRANGE', CLOCK, 0, '')
if type(probe) == 'table' and probe.err then
    if not string.find(probe.err, 'OOM', 1, true) then return redis.error_reply(probe.err) end
    is_full = true
    redis.call('DEL', prefix .. 'nothing')
end
local now, wall, silent = tick(CLOCK, longest_step)

local function whole(value)
    local n = tonumber(value)
    if not n or n ~= n or n < -9007199254740991 or n > 9007199254740991 then return 0 end
    return math.floor(n)
end
local function text(n) return string.format('%.0f', n) end
local function argument()
    at = at + 1
    return ARGV[at]
end

local FIELDS = {}
for field in string.gmatch('id name arguments state started ended turn queued leased done failed dead rejected redelivered '
    .. 'enqueued galleries deaths feeder seeder seeded seedings error idle_since shards format forgiven resumed'
    .. ' forgiven_at_home lists', '%S+') do
    FIELDS[field] = true
end
local run, changed = {}, {}
local function set(field, value)
    run[field] = value
    changed[field] = true
end
local function count(field, by)
    if by ~= 0 then set(field, text(math.max(0, whole(run[field]) + by))) end
end
local function reject(reason, value)
    count('rejected', 1)
    call('RPUSH', REJECTED, text(wall) .. '\n' .. reason .. '\n' .. #value .. '\n' .. string.sub(value, 1, 500))
    call('LTRIM', REJECTED, -KEPT, -1)
end
local function load()
    local flat = redis.call('HGETALL', RUN)
    local foreign = {}
    for i = 1, #flat, 2 do
        if FIELDS[flat[i]] and #flat[i + 1] <= LONGEST then run[flat[i]] = flat[i + 1] else foreign[#foreign + 1] = flat[i] end
    end
    for _, field in ipairs(foreign) do
        redis.call('HDEL', RUN, field)
        reject('not a field of the run', field)
    end
    if run.id and run.state ~= 'done' then run.state = 'running' end
    if run.id and run.format and run.format ~= FORMAT then
        if string.find(run.format, '^%d%d?%d?$') then error('FORMAT ' .. run.format) end
        reject('not a format', run.format)
        redis.call('HDEL', RUN, 'format')
        run.format = nil
    end
end
-- Calls cost more than what they do: fields of hashes are written together, in the end. `flush` before one is read.
local unwritten = {}
local function write_later(name, field, value)
    local flat = unwritten[name] or {}
    unwritten[name] = flat
    flat[#flat + 1] = field
    flat[#flat + 1] = value
end
local function flush()
    for name, flat in pairs(unwritten) do
        for i = 1, #flat, 1000 do redis.call('HSET', name, unpack(flat, i, math.min(i + 999, #flat))) end
    end
    unwritten = {}
end
local function save()
    for field in pairs(changed) do write_later(RUN, field, run[field]) end
    flush()
end
