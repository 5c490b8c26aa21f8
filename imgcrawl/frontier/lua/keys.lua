-- Everything that happens to the queue of one spider, each operation atomic.
--
-- KEYS[1]  the queue: a zset of "<priority>:<host>", one for each non-empty list of pages
-- ARGV     operation, prefix of all other keys (in the queue's hash slot), milliseconds after which a silent
--          worker is dead, failures after which a page is, bytes a page may have, key of what was seen, then the
--          operation's own
--
--   <prefix>run              hash: the run's id, state, roles, counts and arguments
--   <prefix>queue:<p>:<h>    list: pages of priority p and host h, each "<request>" or "<failures>,<deaths>\n<request>"
--   <prefix>suspects         list: pages in hand at several deaths, "<failures>,<deaths>,<p>,<h>\n<request>"
--   <prefix>leases:<worker>  hash: token -> "<failures>,<deaths>,<since>,<p>,<h>\n<request>"
--   <prefix>workers          zset: worker -> the time at which it counts as dead
--   <prefix>told             hash: worker -> how many operations it has reported; '' -> "<id>\n<name>" of the run, for
--                            the case that a stranger replaces that, or the workers
--   <prefix>hungry           zset: worker that waits for pages -> how many it has; it waits at <prefix>wake:<worker>
--   <seen>:<g>:<n>           hashes: fingerprints of generation g; the hash <seen> says how many of both there are
--   <prefix>dead, rejected   lists: pages given up, values that are not ours
--   <prefix>aside:<key>      whatever stood in the place of a key of ours with another type
local index, op, prefix = KEYS[1], ARGV[1], ARGV[2]
local patience, max_failures, max_size = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local at = 6
local RUN, WORKERS, HUNGRY, SEEN = prefix .. 'run', prefix .. 'workers', prefix .. 'hungry', ARGV[6]
local TOLD = prefix .. 'told'
local SUSPECTS, DEAD, REJECTED, GARBAGE = prefix .. 'suspects', prefix .. 'dead', prefix .. 'rejected', prefix .. 'garbage'
local MAX_PRIORITY, TURNS, BUCKET, KEPT, ANSWER = 1048576, 4294967296, 100, 1000, 262144

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

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

-- Calls that survive a stranger's value in the place of one of our keys.
local strangers = 0
local function put_aside(name)
    redis.call('RENAME', name, prefix .. 'aside:' .. string.sub(name, -80))
    strangers = strangers + 1
end
local function call(command, name, ...)
    local reply = redis.pcall(command, name, ...)
    if type(reply) == 'table' and reply.err then
        if not string.find(reply.err, 'WRONGTYPE', 1, true) then error(reply.err) end
        put_aside(name)
        reply = redis.call(command, name, ...)
    end
    return reply
end

local FIELDS = {}
for field in string.gmatch('id name arguments state started ended token turn queued done failed dead rejected redelivered '
    .. 'enqueued deaths steward seeder seeded seedings error idle_since', '%S+') do FIELDS[field] = true end
local run, changed, loaded, recovered, rebuild = {}, {}, false, false, nil
local function load()
    local before = strangers
    local flat = call('HGETALL', RUN)
    for i = 1, #flat, 2 do
        if FIELDS[flat[i]] then
            run[flat[i]] = flat[i + 1]
        else
            call('HDEL', RUN, flat[i])
            strangers = strangers + 1
        end
    end
    loaded = true
    if not run.id and strangers > before then
        -- Which run it was is known elsewhere, and what is queued, too; who has yet to say what is start().
        local id, name = string.match(call('HGET', TOLD, '') or '', '^([^\n]+)\n(.*)$')
        if id then
            recovered, run.id, run.name, run.state = true, id, name, 'running'
            changed.id, changed.name, changed.state = true, true, true
            rebuild()
        end
    end
    if run.id and run.state ~= 'done' then run.state = 'running' end
end
local function set(field, value)
    run[field] = value
    changed[field] = true
end
local function count(field, by)
    if by ~= 0 then set(field, text(math.max(0, whole(run[field]) + by))) end
end
local function save()
    if strangers > 0 and not loaded then load() end
    count('rejected', strangers)
    local flat = {}
    for field in pairs(changed) do
        flat[#flat + 1] = field
        flat[#flat + 1] = run[field]
    end
    if #flat > 0 then call('HSET', RUN, unpack(flat)) end
end

local function keep(list, entry)
    call('RPUSH', list, entry)
    call('LTRIM', list, -KEPT, -1)
end
local function reject(reason, value)
    count('rejected', 1)
    keep(REJECTED, text(now) .. '\n' .. reason .. '\n' .. #value .. '\n' .. string.sub(value, 1, 500))
end
