-- The limits of hosts, for many workers. Each call is atomic; the clock is the server's.
--
-- KEYS[1]  zset: worker -> the time at which it counts as dead
-- ARGV     operation, worker, seconds that a worker may be silent, then the operation's own
--
--   <KEYS[1]>:host:<host>    hash: last, paced, slowed, slowed_at, eased_at, blocked, epoch (see local.py); why, by, at
--                            (who slowed it); w:<worker> -> "<permits> <wanted> <since> <told>"
--   <KEYS[1]>:hosts          zset: host -> when it was last asked for
--   <KEYS[1]>:wake:<worker>  list: hosts about which there is news
--   <KEYS[1]>:settling       nobody gets more now
local WORKERS, op, me, lease = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3])
local HOSTS, SETTLING = WORKERS .. ':hosts', WORKERS .. ':settling'
local HORIZON, MOST_STARTS, QUANTUM, SLOWED, FULL_SPEED, EASED_AT_ONCE, LONGEST_BLOCK = 0.25, 128, 0.25, 0.1, 0.02, 1, 86400
local FORGOTTEN = 3600 -- seconds after which a host that nobody asks for is forgotten
local min, max, floor = math.min, math.max, math.floor

redis.call('DEL', WORKERS .. ':nothing') -- a server that is full refuses the first write of a script, and no later one
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000

local function number(value)
    local n = tonumber(value)
    if not n or n ~= n or n < 0 or n > 1e12 then return 0 end
    return n
end
local function text(n) return string.format('%.6f', n) end

-- A call that survives a stranger's value in the place of one of our keys.
local function call(command, name, ...)
    local reply = redis.pcall(command, name, ...)
    if type(reply) == 'table' and reply.err then
        if not string.find(reply.err, 'WRONGTYPE', 1, true) then return error(reply.err) end
        redis.call('DEL', name)
        reply = redis.call(command, name, ...)
    end
    return reply
end

local function wake(worker, host)
    local key = WORKERS .. ':wake:' .. worker
    call('RPUSH', key, host)
    call('LTRIM', key, -1000, -1)
    call('PEXPIRE', key, floor(lease * 1000))
end

local alive, names = {}, {}
local function look_around()
    call('ZREMRANGEBYSCORE', WORKERS, '-inf', text(now))
    names = call('ZRANGE', WORKERS, 0, -1)
    table.sort(names)
    for _, worker in ipairs(names) do alive[worker] = true end
end

local function read(key)
    local state, others, mine, dead = {}, {}, nil, {}
    local flat = call('HGETALL', key)
    for i = 1, #flat, 2 do
        local worker = string.match(flat[i], '^w:(.*)$')
        if worker then
            local permits, want, since, told = string.match(flat[i + 1], '^(%S+) (%S+) (%S+) (%S+)$')
            local entry = {worker = worker, permits = number(permits), want = number(want), since = number(since), told = told}
            if not alive[worker] then dead[#dead + 1] = worker
            elseif worker == me then mine = entry
            else others[#others + 1] = entry end
        else
            state[flat[i]] = flat[i + 1]
        end
    end
    for _, worker in ipairs(dead) do call('HDEL', key, 'w:' .. worker) end
    return state, others, mine
end

local function put(key, entry)
    call('HSET', key, 'w:' .. entry.worker,
        entry.permits .. ' ' .. entry.want .. ' ' .. text(entry.since) .. ' ' .. entry.told)
end

local function senior(a, b)
    if a.since ~= b.since then return a.since < b.since end
    return a.worker < b.worker
end

-- _pace() of local.py. Returns whether what was given out before is void now.
local function pace(state, ask)
    local epoch = state.epoch
    if ask.target > 0 and not state.known then state.paced = min(max(ask.delay, ask.first), ask.longest) end
    state.known = '1'
    local slower = max(ask.delay, ask.floor, state.paced, state.slowed)
    if ask.target > 0 and ask.answers > 0 then
        local wanted = ask.latency / ask.target
        if wanted < state.paced then wanted = wanted + (state.paced - wanted) / 2 ^ min(ask.answers, 50) end
        state.paced = min(max(ask.delay, wanted), ask.longest)
    end
    if ask.trouble and now - ask.trouble >= state.slowed_at then
        local current = max(ask.delay, ask.floor, state.paced, state.slowed)
        state.slowed = min(max(2 * current, SLOWED), max(ask.longest, current))
        state.slowed_at, state.eased_at = now, now
        state.last = now
        state.epoch = state.epoch + 1
        state.why, state.by, state.at = ask.why, me, text(now)
    elseif ask.answers > 0 and state.slowed > 0 then
        local rate = 1 / state.slowed + ask.speedup * min(EASED_AT_ONCE, now - state.eased_at)
        state.eased_at = now
        state.slowed = 1 / rate
        if state.slowed <= max(FULL_SPEED, ask.delay, state.paced) then state.slowed = 0 end
    end
    local gap = max(ask.delay, ask.floor, state.paced, state.slowed)
    if gap < slower and state.last > max(now, state.blocked) + HORIZON + 2 * #names * gap then
        state.last = now + HORIZON
        state.epoch = state.epoch + 1
    end
    if ask.block > 0 and now + ask.block > state.blocked then
        state.blocked = now + min(ask.block, LONGEST_BLOCK)
        state.epoch = state.epoch + 1
        state.why, state.by, state.at = ask.why, me, text(now)
    end
    return state.epoch ~= epoch
end

local function settle(ask, settling)
    local key = WORKERS .. ':host:' .. ask.host
    local state, others, mine = read(key)
    for _, name in ipairs({'last', 'paced', 'slowed', 'slowed_at', 'eased_at', 'blocked', 'epoch'}) do
        state[name] = number(state[name])
    end
    local void = pace(state, ask)

    -- Who has what, who waits for some.
    mine = mine or {worker = me, permits = 0, want = 0, since = now}
    local taken, before, demand = 0, 0, ask.want > 0 and 1 or 0
    for _, other in ipairs(others) do
        taken = taken + other.permits
        if senior(other, mine) then before = before + other.permits end
        if other.want > 0 or other.permits > 0 then demand = demand + 1 end
    end
    local share = floor(ask.concurrency / max(1, demand))
    local fair = max(1, share)
    local room = max(0, ask.concurrency - taken)
    local waiting = {}
    for _, other in ipairs(others) do
        if other.permits < min(other.want, fair) then waiting[#waiting + 1] = other end
    end
    table.sort(waiting, senior)
    local crowded = #waiting > 0
    -- It was taken for dead, and others were given what it has: what is under way ends, and nothing new is begun.
    local own = max(0, ask.concurrency - before)
    local over = ask.keep > own

    local most = ask.want
    if #waiting > 0 then
        local due = min(ask.want, fair)
        if share == 0 and mine.permits > 0 and now - mine.since >= QUANTUM then due = 0 end
        local reserved = 0
        for _, other in ipairs(waiting) do
            if mine.permits >= due or senior(other, mine) then
                reserved = reserved + min(other.want, fair) - other.permits
            end
        end
        most = min(due, room - reserved)
    end
    if settling then most = 0 end
    local permits = max(ask.keep, min(ask.want, most, room))
    if (permits > 0) ~= (mine.permits > 0) then mine.since = now end
    mine.permits, mine.want, mine.told = permits, ask.want, '0'

    -- Tell whoever has to know.
    local left = room - permits
    for _, other in ipairs(others) do
        if other.permits >= min(other.want, fair) and other.permits < other.want then waiting[#waiting + 1] = other end
    end
    for _, other in ipairs(waiting) do
        if left <= 0 then break end
        wake(other.worker, ask.host)
        left = left - 1
    end
    local starved = permits < min(ask.want, fair)
    for _, other in ipairs(others) do
        if void then
            wake(other.worker, ask.host)
        elseif starved and other.permits > share and other.told == '0' then
            other.told = '1'
            put(key, other)
            wake(other.worker, ask.host)
        end
    end

    -- When.
    local delay = max(ask.delay, state.paced, state.slowed)
    local gap = max(delay, ask.floor)
    local starts = {}
    if gap > 0 and permits > 0 and not over then
        while #starts < min(ask.starts, MOST_STARTS) do
            local varied = delay * (1 + ask.jitter * (2 * math.random() - 1))
            local start = max(now, state.last + max(ask.floor, varied), state.blocked)
            if #starts > 0 and start > now + HORIZON then break end
            starts[#starts + 1] = text(start - now)
            state.last = start
        end
    elseif permits > 0 then
        state.last = now -- more or less, should a delay follow
    end

    local flat = {}
    for name, value in pairs(state) do
        flat[#flat + 1] = name
        flat[#flat + 1] = type(value) == 'number' and text(value) or value
    end
    flat[#flat + 1] = 'delay'
    flat[#flat + 1] = text(gap)
    flat[#flat + 1] = 'concurrency'
    flat[#flat + 1] = text(ask.concurrency)
    call('HSET', key, unpack(flat))
    if permits == 0 and ask.want == 0 then call('HDEL', key, 'w:' .. me) else put(key, mine) end
    call('EXPIRE', key, floor(max(FORGOTTEN, state.blocked - now + 60)))
    call('ZADD', HOSTS, text(now), ask.host)

    local turn = 0
    if share == 0 and not over then turn = max(0, QUANTUM - (now - mine.since)) end
    local most_kept = crowded and min(share, ask.want) or ask.concurrency
    if over then most_kept = min(most_kept, own) end
    return {
        text(permits), text(most_kept), text(turn), text(gap),
        text(max(0, state.blocked - now)), text(state.epoch), table.concat(starts, ' '),
    }
end

if op == 'exchange' then
    local before, at = ARGV[4], 6
    math.randomseed(number(ARGV[5]))
    local known = call('ZSCORE', WORKERS, me)
    local fresh = not known or tonumber(known) < now
    if fresh and before == '1' then
        -- This account was lost or could not be reached for long, so others may have more than it knows: nobody gets
        -- more until all have told what they have.
        redis.call('SET', SETTLING, '1', 'NX', 'PX', floor(max(1, lease / 3) * 1000))
    end
    local settling = redis.call('EXISTS', SETTLING) == 1
    call('ZADD', WORKERS, text(now + lease), me)
    look_around()
    call('ZREMRANGEBYSCORE', HOSTS, '-inf', text(now - FORGOTTEN))
    local rank = 0
    for i, worker in ipairs(names) do
        if worker == me then rank = i - 1 end
    end
    local grants = {}
    while at <= #ARGV do
        local trouble = tonumber(ARGV[at + 14])
        grants[#grants + 1] = settle({
            host = ARGV[at], concurrency = number(ARGV[at + 1]), delay = number(ARGV[at + 2]), jitter = number(ARGV[at + 3]),
            floor = number(ARGV[at + 4]), target = number(ARGV[at + 5]), first = number(ARGV[at + 6]),
            longest = number(ARGV[at + 7]), speedup = number(ARGV[at + 8]), keep = number(ARGV[at + 9]),
            want = number(ARGV[at + 10]), starts = number(ARGV[at + 11]), answers = number(ARGV[at + 12]),
            latency = number(ARGV[at + 13]), trouble = trouble and trouble >= 0 and trouble or nil, why = ARGV[at + 15],
            block = number(ARGV[at + 16]),
        }, settling)
        at = at + 17
    end
    return {#names, rank, fresh and 1 or 0, text(now), grants}
end

if op == 'leave' then
    look_around()
    alive[me] = true
    for i = 4, #ARGV do
        local key = WORKERS .. ':host:' .. ARGV[i]
        local _, others = read(key)
        for _, other in ipairs(others) do
            if other.want > other.permits then wake(other.worker, ARGV[i]) end
        end
        call('HDEL', key, 'w:' .. me)
    end
    call('ZREM', WORKERS, me)
    redis.call('DEL', WORKERS .. ':wake:' .. me)
    return 1
end

if op == 'status' then
    look_around()
    me = nil -- whoever looks is one of them
    local found = {}
    for _, host in ipairs(call('ZREVRANGE', HOSTS, 0, number(ARGV[4]) - 1)) do
        local key = WORKERS .. ':host:' .. host
        local state, others = read(key)
        local permits, holders = 0, 0
        for _, other in ipairs(others) do
            permits = permits + other.permits
            if other.permits > 0 then holders = holders + 1 end
        end
        found[#found + 1] = {
            host, state.why or '', state.by or '', text(permits), text(holders), text(number(state.concurrency)),
            text(number(state.delay)), text(number(state.slowed)), text(max(0, number(state.blocked) - now)),
            text(now - number(state.at)),
        }
    end
    return {#names, found}
end

return redis.error_reply('unknown operation ' .. op)
