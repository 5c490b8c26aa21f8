-- Workers
local function wake(worker)
    local name = prefix .. 'wake:' .. worker
    call('RPUSH', name, '1')
    redis.call('PEXPIRE', name, 60000)
end
-- Whatever it was woken for, this exchange tells it.
local function hear_all(wakes)
    if call('LLEN', wakes) == 0 then return end
    for _, value in ipairs(redis.call('LRANGE', wakes, 0, -1)) do
        if value ~= '1' then reject('not a call', value) end
    end
    redis.call('UNLINK', wakes)
end
local function wake_some(most)
    -- Who has least comes first: it can use whatever there is, while others may have their share or enough of a host.
    while most > 0 do
        local worker = redis.call('ZPOPMIN', WAITING)[1]
        if not worker then return end
        if redis.call('ZSCORE', WORKERS, worker) then
            wake(worker)
            most = most - 1
        else
            reject('not a worker', worker) -- one that left has left this, too
        end
    end
end
local function dismiss(worker, death, reason)
    local name = prefix .. 'leases:' .. worker
    local flat = call('HGETALL', name)
    -- Newest first to the front: the queue is then in its old order.
    local tokens, entries = {}, {}
    for i = 1, #flat, 2 do
        tokens[#tokens + 1] = flat[i]
        entries[flat[i]] = flat[i + 1]
    end
    table.sort(tokens, function(a, b) return whole(a) > whole(b) end)
    for _, token in ipairs(tokens) do put_back(entries[token], 0, death, reason) end
    -- What it has counted of pages that are not done others count again: see verdict.lua.
    for _, key in ipairs({':reported', ':acknowledged'}) do redis.pcall('HDEL', prefix .. 'stats:' .. (run.id or '') .. key, worker) end
    redis.call('UNLINK', name, prefix .. 'wake:' .. worker)
    redis.call('ZREM', WORKERS, worker)
    redis.call('ZREM', WAITING, worker)
    for _, role in ipairs({'feeder', 'seeder'}) do
        if run[role] == worker then
            set(role, '')
            fresh = fresh + 1000
        end
    end
end
local function expire_workers()
    local expired = 0
    for _, worker in ipairs(redis.call('ZRANGEBYSCORE', WORKERS, '-inf', text(now), 'LIMIT', 0, 20)) do
        if worker == '' or #worker > 400 or string.find(worker, '%c') then reject('not a worker', worker) end
        count('deaths', 1)
        dismiss(worker, 1, 'its worker ' .. string.gsub(string.sub(worker, 1, 100), '%c', '?') .. ' died')
        expired = expired + 1
    end
    return expired
end
local function is_alive(worker) return worker and worker ~= '' and redis.call('ZSCORE', WORKERS, worker) end

local operations = {}

-- What went wrong before a run was stopped is done again when it goes on, or told again.
local function is_forgiven(name) return name == 'item/error' or string.sub(name, 1, 18) == 'spider_exceptions/' end
local function forgive()
    local stats = prefix .. 'stats:' .. run.id
    for _, name in ipairs(call('HKEYS', stats)) do
        if name == 'verdict/error' or is_forgiven(name) then call('HDEL', stats, name) end
    end
    set('forgiven', text(wall))
end
local function begin(worker, name, persist, arguments)
    local turn, queued = run.turn, run.queued
    redis.call('UNLINK', RUN, SEQUENCES)
    run, changed = {}, {}
    if not persist then
        wipe()
        queued = '0'
    end
    set('id', text(wall) .. '-' .. worker)
    set('name', name)
    set('format', FORMAT)
    set('arguments', arguments)
    set('state', 'running')
    set('started', text(wall))
    set('turn', text(whole(turn)))
    set('queued', text(whole(queued)))
end

-- What an older release left becomes what this one has, once none of its workers is left.
local function upgrade()
    if not run.id or run.format then return end
    if redis.call('ZCARD', WORKERS) > 0 then
        save()
        error('FORMAT 1')
    end
    for _, bucket in ipairs(redis.call('ZRANGE', index, 0, -1)) do
        local priority, host = bucket_parts(bucket) -- a host of today has no colon
        if priority then
            redis.call('ZREM', index, bucket)
            stand_in_index(priority, host)
        end
    end
    set('format', FORMAT)
end

-- worker, name of the run, keep what was seen, wipe first, arguments, what is none in their place, number of shards
-- -> id, state, when it was last forgiven, when it was last gone on with; or id, 'other', arguments of the run, which are not these; or id, 'shards', its number of them
function operations.join()
    local worker, name, persist, flush = argument(), argument(), argument() == '1', argument() == '1'
    local arguments, foreign, shards = argument(), argument(), argument() or '1'
    load()
    if run.id and (run.shards or '1') ~= shards then return {run.id, 'shards', run.shards or '1'} end
    local expired = expire_workers()
    wake_some(fresh)
    upgrade()
    local alone = redis.call('ZCARD', WORKERS) == 0
    local over = run.state ~= 'running'
    if name ~= '' and run.name == name then over = over and run.state ~= 'done' end
    if alone and flush and not (name ~= '' and run.name == name) then
        wipe()
        over = true
    end
    if (over and alone) or not run.id or run.id == '' then
        begin(worker, name, persist, arguments)
        if shards ~= '1' then set('shards', shards) end
    elseif run.state == 'running' then
        if alone and expired == 0 then forgive() end
        -- All that were killed together are workers still, by a clock that hardly went on while nobody called.
        if alone or silent >= expiry then set('resumed', text(wall)) end
    end
    if run.arguments ~= arguments then
        if run.arguments and run.arguments ~= foreign then return {run.id, 'other', run.arguments} end
        if run.arguments then reject('not arguments', foreign) end
        set('arguments', arguments)
    end
    redis.call('ZADD', WORKERS, text(now + expiry), worker)
    redis.call('HSET', SEQUENCES, worker, '0')
    local function time_of(field) return run[field] and text(whole(run[field])) or '' end
    return {run.id, run.state, time_of('forgiven'), time_of('resumed')}
end

-- Into a shard that is not home. worker, id of the run that goes on at home, keep what was seen, when that run was last
-- forgiven at home -> 1, or 0 while there are workers of another run
function operations.adopt()
    local worker, id, persist, forgiven = argument(), argument(), argument() == '1', argument()
    load()
    expire_workers()
    wake_some(fresh)
    if run.id ~= id then
        if redis.call('ZCARD', WORKERS) > 0 then return 0 end
        upgrade()
        begin(worker, '', persist, '')
        set('id', id)
    elseif (run.forgiven_at_home or '') ~= forgiven then
        forgive() -- not whenever this shard has no worker: home is left last
    end
    set('forgiven_at_home', forgiven)
    redis.call('ZADD', WORKERS, text(now + expiry), worker)
    redis.call('HSET', SEQUENCES, worker, '0')
    return 1
end
