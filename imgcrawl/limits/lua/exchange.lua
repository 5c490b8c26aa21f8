-- What is asked of this script.

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
    local gap = max(delay, ask.floor) * ask.factor
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
        text(max(0, state.blocked - now)), text(state.epoch), table.concat(starts, ' '), text(state.slowed),
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
    'concurrency', 'delay', 'jitter', 'floor', 'target', 'first', 'longest', 'speedup', 'factor',
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
        ask.factor = max(1, ask.factor)
        if tonumber(ARGV[at + 16]) < 0 then ask.trouble = nil end
        grants[#grants + 1] = settle(ask, settling)
        at = at + 2 + #FIELDS
    end
    forget_hosts(2 * #grants + 2)
    return {workers, rank, fresh and 1 or 0, text(now), text(settling and 0 or heard()), grants}
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
