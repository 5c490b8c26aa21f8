-- The limits of hosts, for many workers. Each call is atomic. Nothing here walks all hosts or all workers.
--
-- KEYS[1]  zset: worker -> the time at which it counts as dead
-- ARGV     operation, worker, seconds that a worker may be silent, then the operation's own
--
--   <KEYS[1]>:ranks          zset of the same workers, in an order that stays
--   <KEYS[1]>:clock          hash: at, server, wall (see set_clock), settled (until then nobody gets more)
--   <KEYS[1]>:hosts          zset: host -> when it was last asked for, or until when it is blocked
--   <KEYS[1]>:host:<host>    hash: last, paced, slowed, slowed_at, eased_at, blocked, epoch, doubts (see local.py); why,
--                            by, at (who slowed it); w:<worker> -> "<permits> <wanted> <since> <told>": who has permits
--   <KEYS[1]>:waiting:<host> zset: worker -> since when it waits for its first permit
--   <KEYS[1]>:wake:<worker>  list: hosts about which there is news
local WORKERS, op, me, lease = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3])
local HOSTS, CLOCK, RANKS = WORKERS .. ':hosts', WORKERS .. ':clock', WORKERS .. ':ranks'
local AGREED = 0.1 -- seconds by which two clocks may differ that agree
local HORIZON, MAX_STARTS, FIRST_DELAY, FULL_SPEED, MAX_RECOVERY, MAX_BLOCK = 0.25, 128, 0.1, 0.02, 1, 86400
local SAME_BLOCK, DOUBTS = 0.25, 2
local LONG_HORIZON = 1 -- the same for 400 workers and more: fewer round trips, and more start times that pass unused
local FURTHEST = 60 -- seconds ahead, and two delays for each worker: no start time was given out that is later
local MIN_CHUNK = 0.05 -- seconds of start times that one of several workers gets at once, at least
local QUANTUM = 0.25 -- seconds that a worker keeps what it has where there are more workers than a host's concurrency
local FORGOTTEN = 600 -- seconds after which a host that nobody asks for is forgotten
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

-- A call whose failure names the key: there may be something in its place that is not ours.
local function call(command, name, ...)
    local reply = redis.pcall(command, name, ...)
    if type(reply) == 'table' and reply.err then
        if not string.find(reply.err, 'WRONGTYPE', 1, true) then return error(reply.err) end
        error('WRONGTYPE a ' .. redis.call('TYPE', name).ok .. ' in the place of ' .. name)
    end
    return reply
end

-- The time by a clock of our own, because the server's may jump. A worker that knew the time, by its own count it is
-- *claim* now or a little later, takes it on; the server's clock says how little, as long as it agrees. For one that
-- does not know the time (0), as much has passed since as both the server's clock and its own, *wall*, say; and while
-- others are there, who talk to us once in lease / 6 seconds, no more than that.
local function read_clock(claim, wall)
    local saved = call('HMGET', CLOCK, 'at', 'server', 'wall')
    local time = redis.call('TIME')
    local at, server = number(saved[1]), tonumber(time[1]) + tonumber(time[2]) / 1000000
    local passed = max(0, server - number(saved[2]))
    if claim > 0 then
        now = max(at, claim)
        if at > 0 and at + passed > now and at + passed < now + AGREED then now = at + passed end
    elseif at == 0 then
        now = server
    else
        local by_wall = max(0, wall - number(saved[3]))
        if math.abs(passed - by_wall) > AGREED then passed = min(passed, by_wall) end
        if call('ZCARD', WORKERS) > 0 then passed = min(passed, lease / 6) end
        now = at + passed
    end
    return server
end

local function set_clock(claim, wall)
    local server = read_clock(claim, wall)
    call('HSET', CLOCK, 'at', text(now), 'server', text(server), 'wall', text(wall))
end

local function wake(worker, host)
    local key = WORKERS .. ':wake:' .. worker
    if call('RPUSH', key, host) > 1000 then call('LTRIM', key, -1000, -1) end
    call('EXPIRE', key, ABANDONED)
end

local function drop_worker(worker)
    call('ZREM', WORKERS, worker)
    call('ZREM', RANKS, worker)
    call('UNLINK', WORKERS .. ':wake:' .. worker)
end

-- Returns whether this worker was not known, and its rank.
local function enter(before)
    for _, worker in ipairs(call('ZRANGEBYSCORE', WORKERS, '-inf', text(now), 'LIMIT', 0, 10)) do
        if worker ~= me then drop_worker(worker) end
    end
    local known = call('ZSCORE', WORKERS, me)
    local fresh = not known or number(known) < now
    call('ZADD', WORKERS, text(now + lease), me)
    if fresh then
        call('ZADD', RANKS, 0, me)
        for _, key in ipairs({WORKERS, RANKS, CLOCK, HOSTS}) do call('EXPIRE', key, 7 * ABANDONED) end
        if before and number(call('HGET', CLOCK, 'settled')) <= now then
            -- This account was lost or could not be reached for long, so others may have more than it knows: nobody
            -- gets more until all have told what they have.
            call('HSET', CLOCK, 'settled', text(now + lease / 3))
        end
    end
    workers = call('ZCARD', WORKERS)
    return fresh, call('ZRANK', RANKS, me) or 0
end

-- Of *names*, those that are workers, as a set.
local function alive(names)
    local found = {}
    if #names > 0 then
        for i, score in ipairs(call('ZMSCORE', WORKERS, unpack(names))) do
            found[names[i]] = score and number(score) > now
        end
    end
    return found
end

-- The state of a host, who else has permits there, and what this worker has.
local function read_host(key)
    local state, found, names, others, mine = {}, {}, {}, {}, nil
    local flat = call('HGETALL', key)
    for i = 1, #flat, 2 do
        local worker = string.match(flat[i], '^w:(.*)$')
        if worker then
            local permits, want, since, told = string.match(flat[i + 1], '^(%S+) (%S+) (%S+) (%S+)$')
            local entry = {worker = worker, permits = number(permits), want = number(want), since = number(since), told = told}
            if worker == me then mine = entry else
                found[#found + 1] = entry
                names[#names + 1] = worker
            end
        else
            state[flat[i]] = flat[i + 1]
        end
    end
    local living = alive(names)
    for _, entry in ipairs(found) do
        if living[entry.worker] then others[#others + 1] = entry else call('HDEL', key, 'w:' .. entry.worker) end
    end
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

-- What was read is no more than what could have been written.
local function check_state(state, ask)
    for _, name in ipairs({'last', 'paced', 'slowed', 'slowed_at', 'eased_at', 'blocked', 'epoch', 'doubts'}) do
        state[name] = number(state[name])
    end
    local longest = max(ask.longest, ask.delay, ask.floor)
    state.paced, state.slowed = min(state.paced, longest), min(state.slowed, longest)
    state.slowed_at, state.eased_at = min(state.slowed_at, now), min(state.eased_at, now)
    state.blocked = min(state.blocked, now + MAX_BLOCK)
    state.epoch, state.doubts = floor(state.epoch), floor(state.doubts)
end

-- What answers say about the delay.
local function pace(state, ask)
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
        state.slowed = min(max(2 * current, FIRST_DELAY), max(ask.longest, current))
        state.slowed_at, state.eased_at, state.last = now, now, now
        state.epoch = state.epoch + 1
        state.why, state.by, state.at = ask.why, me, text(now)
    elseif ask.answers > 0 and state.slowed > 0 then
        local rate = 1 / state.slowed + ask.speedup * min(MAX_RECOVERY, now - state.eased_at)
        state.eased_at = now
        state.slowed = 1 / rate
        if state.slowed <= max(FULL_SPEED, ask.delay, state.paced) then state.slowed = 0 end
    end
    local gap = max(ask.delay, ask.floor, state.paced, state.slowed)
    local furthest = max(now, state.blocked) + FURTHEST + 2 * workers * max(gap, slower)
    if state.last > furthest or (gap < slower and state.last > max(now, state.blocked) + HORIZON + 2 * workers * gap) then
        state.last = now + HORIZON
        state.epoch = state.epoch + 1
    end
end

-- What answers say about being left alone.
local function block(state, ask)
    state.doubts = (ask.answers > 0 and 0 or state.doubts) + ask.doubts
    local seconds = ask.block
    if ask.doubts > 0 and state.doubts >= DOUBTS then seconds = max(seconds, ask.doubted) end
    seconds = min(seconds, MAX_BLOCK)
    if seconds > 0 and now + seconds > state.blocked + SAME_BLOCK then
        state.blocked = now + seconds
        state.epoch = state.epoch + 1
        state.why, state.by, state.at = ask.why, me, text(now)
    end
end

-- The first of those that wait for a first permit, as many as there is *room* for, and how many wait in all.
local function read_waiting(key, room)
    local total, mine = call('ZCARD', key), nil
    if total == 0 then return {}, 0, nil end
    mine = call('ZSCORE', key, me)
    local flat, names, first = call('ZRANGE', key, 0, min(room, 128) + 1, 'WITHSCORES'), {}, {}
    for i = 1, #flat, 2 do
        if flat[i] ~= me then names[#names + 1] = flat[i] end
    end
    local living = alive(names)
    for i = 1, #flat, 2 do
        if living[flat[i]] then
            first[#first + 1] = {worker = flat[i], permits = 0, since = number(flat[i + 1]), told = '0'}
        elseif flat[i] ~= me then
            call('ZREM', key, flat[i])
            total = total - 1
        end
    end
    return first, total - (mine and 1 or 0), mine and number(mine) or nil
end

-- Who has what, who waits for some: what this worker may have of a host's permits.
local function share_out(ask, key, waiting_key, others, mine)
    local view = {taken = 0, before = 0, waiting = {}, more = {}}
    for _, other in ipairs(others) do view.taken = view.taken + other.permits end
    view.room = max(0, ask.concurrency - view.taken)
    local first, count, since = read_waiting(waiting_key, view.room)
    mine = mine or {worker = me, permits = 0, since = since or now}
    view.mine, view.queue = mine, since ~= nil
    for _, other in ipairs(others) do
        if senior(other, mine) then view.before = view.before + other.permits end
    end
    view.demand = #others + count + (ask.want > 0 and 1 or 0)
    view.share = floor(ask.concurrency / max(1, view.demand))
    local fair = max(1, view.share)
    view.fair = fair
    for _, other in ipairs(first) do
        other.want = fair
        view.waiting[#view.waiting + 1] = other
    end
    for _, other in ipairs(others) do
        if other.permits < min(other.want, fair) then view.waiting[#view.waiting + 1] = other
        elseif other.permits < other.want then view.more[#view.more + 1] = other end
    end
    table.sort(view.waiting, senior)
    view.crowded = #view.waiting > 0 or count > 0
    -- It was taken for dead, and others were given what it has: what is under way ends, and nothing new is begun.
    view.own = max(0, ask.concurrency - view.before)
    view.over = ask.keep > view.own

    local most = ask.want
    if view.crowded then
        local due, reserved = min(ask.want, fair), 0
        if view.share == 0 and mine.permits > 0 and now - mine.since >= QUANTUM then due = 0 end
        for _, other in ipairs(view.waiting) do
            if mine.permits >= due or senior(other, mine) then
                reserved = reserved + min(other.want, fair) - other.permits
            end
        end
        most = min(due, view.room - reserved)
    end
    return max(ask.keep, min(ask.want, most, view.room)), view
end

-- Tell whoever has to know.
local function tell(ask, key, others, view, permits, void)
    local left = view.room - permits
    for _, list in ipairs({view.waiting, view.more}) do
        for _, other in ipairs(list) do
            if left <= 0 then break end
            wake(other.worker, ask.host)
            left = left - 1
        end
    end
    local starved = permits < min(ask.want, view.fair)
    for _, other in ipairs(others) do
        if void then
            wake(other.worker, ask.host)
        elseif starved and other.permits > view.share and other.told == '0' then
            other.told = '1'
            put(key, other)
            wake(other.worker, ask.host)
        end
    end
end

-- Start times. Of several workers each gets few at a time, no more than it may have under way: what one gets in a row
-- the others wait for.
local function starts_of(state, ask, view, permits, delay, gap)
    local starts, most = {}, min(ask.starts, MAX_STARTS)
    local horizon = min(LONG_HORIZON, HORIZON * max(1, workers / 100))
    if view.demand > 1 then
        most = min(most, max(1, view.share, ceil(MIN_CHUNK / gap / view.demand)))
    end
    while #starts < most do
        local varied = delay * (1 + ask.jitter * (2 * math.random() - 1))
        local start = max(now, state.last + max(ask.floor, varied), state.blocked)
        if #starts > 0 and start > now + horizon then break end
        starts[#starts + 1] = text(start - now)
        state.last = start
    end
    return starts
end

local function save(ask, key, waiting_key, state, view, permits, gap)
    local mine, flat = view.mine, {'delay', text(gap), 'concurrency', text(ask.concurrency)}
    for name, value in pairs(state) do
        if name ~= 'delay' and name ~= 'concurrency' then
            flat[#flat + 1] = name
            flat[#flat + 1] = type(value) == 'number' and text(value) or value
        end
    end
    call('HSET', key, unpack(flat))
    if (permits > 0) ~= (mine.permits > 0) then mine.since = now end
    if permits > 0 then
        put(key, {worker = me, permits = permits, want = ask.want, since = mine.since, told = '0'})
    elseif mine.permits > 0 then
        call('HDEL', key, 'w:' .. me)
    end
    if permits == 0 and ask.want > 0 then
        if not view.queue then call('ZADD', waiting_key, text(mine.since), me) end
        call('EXPIRE', waiting_key, ABANDONED)
    elseif view.queue then
        call('ZREM', waiting_key, me)
    end
    call('EXPIRE', key, floor(ABANDONED + max(0, state.blocked - now)))
    call('ZADD', HOSTS, text(max(now, state.blocked)), ask.host)
end

local function settle(ask, settling)
    local key, waiting_key = WORKERS .. ':host:' .. ask.host, WORKERS .. ':waiting:' .. ask.host
    local state, others, mine = read_host(key)
    check_state(state, ask)
    local epoch = state.epoch
    pace(state, ask)
    block(state, ask)
    local permits, view = share_out(ask, key, waiting_key, others, mine)
    if settling then permits = ask.keep end
    tell(ask, key, others, view, permits, state.epoch ~= epoch)
    local delay = max(ask.delay, state.paced, state.slowed)
    local gap = max(delay, ask.floor)
    local starts = {}
    if permits > 0 and gap > 0 and not view.over then
        starts = starts_of(state, ask, view, permits, delay, gap)
    elseif permits > 0 and gap == 0 then
        state.last = now -- more or less, should a delay follow
    end
    save(ask, key, waiting_key, state, view, permits, gap)

    local turn = 0
    if view.share == 0 and not view.over then turn = max(0, QUANTUM - (now - view.mine.since)) end
    local most_kept = view.crowded and min(view.share, ask.want) or ask.concurrency
    if view.over then most_kept = min(most_kept, view.own) end
    return {
        text(permits), text(most_kept), text(turn), text(gap),
        text(max(0, state.blocked - now)), text(state.epoch), table.concat(starts, ' '),
    }
end

local function forget_hosts(most)
    for _, host in ipairs(call('ZRANGEBYSCORE', HOSTS, '-inf', text(now - FORGOTTEN), 'LIMIT', 0, most)) do
        call('UNLINK', WORKERS .. ':host:' .. host)
        call('UNLINK', WORKERS .. ':waiting:' .. host)
        call('ZREM', HOSTS, host)
    end
end

local FIELDS = {
    'concurrency', 'delay', 'jitter', 'floor', 'target', 'first', 'longest', 'speedup',
    'keep', 'want', 'starts', 'answers', 'latency', 'trouble', 'block', 'doubts', 'doubted',
}

local function exchange()
    math.randomseed(number(ARGV[5]))
    set_clock(number(ARGV[6]), number(ARGV[7]))
    local fresh, rank = enter(ARGV[4] == '1')
    local settled = number(call('HGET', CLOCK, 'settled'))
    local settling = now < settled and settled <= now + lease
    local grants, at = {}, 8
    while at <= #ARGV do
        local ask = {host = ARGV[at], why = ARGV[at + 1]}
        for i, name in ipairs(FIELDS) do ask[name] = number(ARGV[at + 1 + i]) end
        if tonumber(ARGV[at + 15]) < 0 then ask.trouble = nil end
        grants[#grants + 1] = settle(ask, settling)
        at = at + 2 + #FIELDS
    end
    forget_hosts(2 * #grants + 2)
    return {workers, rank, fresh and 1 or 0, text(now), grants}
end

local function leave()
    set_clock(number(ARGV[4]), number(ARGV[5]))
    for i = 6, #ARGV do
        local host = ARGV[i]
        local key, waiting_key = WORKERS .. ':host:' .. host, WORKERS .. ':waiting:' .. host
        call('HDEL', key, 'w:' .. me)
        call('ZREM', waiting_key, me)
        local _, others = read_host(key)
        local taken = 0
        for _, other in ipairs(others) do
            taken = taken + other.permits
            if other.want > other.permits then wake(other.worker, host) end
        end
        local room = max(1, number(call('HGET', key, 'concurrency')) - taken)
        for _, other in ipairs(read_waiting(waiting_key, room)) do wake(other.worker, host) end
    end
    drop_worker(me)
    return 1
end

local function status()
    read_clock(0, number(ARGV[4]))
    me = nil -- whoever looks is one of them
    local found, first = {}, number(ARGV[5])
    for _, host in ipairs(call('ZREVRANGE', HOSTS, first, first + number(ARGV[6]) - 1)) do
        local state, others = read_host(WORKERS .. ':host:' .. host)
        local permits = 0
        for _, other in ipairs(others) do permits = permits + other.permits end
        found[#found + 1] = {
            host, state.why or '', state.by or '', text(permits), text(#others), text(number(state.concurrency)),
            text(number(state.delay)), text(number(state.slowed)), text(min(MAX_BLOCK, max(0, number(state.blocked) - now))),
            text(max(0, now - number(state.at))),
        }
    end
    return {call('ZCARD', WORKERS), call('ZCARD', HOSTS), found}
end

local operations = {exchange = exchange, leave = leave, status = status}
return operations[op]()
