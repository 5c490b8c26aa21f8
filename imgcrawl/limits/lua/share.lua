-- What of a host's limits a worker may have.

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
            if other.told == '0' then -- else it has not asked since
                if other.permits > 0 then
                    other.told = '1'
                    put(key, other)
                end
                wake(other.worker, ask.host)
            end
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
        local start = max(now, state.last + max(ask.floor, varied) * ask.factor, state.blocked)
        if #starts > 0 and start > now + horizon then break end
        starts[#starts + 1] = text(start - now)
        state.last = start
    end
    return starts
end

