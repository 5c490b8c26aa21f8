-- Workers
local function wake(worker)
    local name = prefix .. 'wake:' .. worker
    call('RPUSH', name, '1')
    call('PEXPIRE', name, 60000)
end
local function wake_some(most)
    -- Who has least comes first: it can use whatever there is, while others may have their share or enough of a host.
    while most > 0 do
        local worker = call('ZPOPMIN', HUNGRY)[1]
        if not worker then return end
        if call('ZSCORE', WORKERS, worker) then
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
    redis.call('UNLINK', name)
    -- Newest first to the front: the queue is then in its old order.
    local tokens, entries = {}, {}
    for i = 1, #flat, 2 do
        tokens[#tokens + 1] = flat[i]
        entries[flat[i]] = flat[i + 1]
    end
    table.sort(tokens, function(a, b) return whole(a) > whole(b) end)
    for _, token in ipairs(tokens) do put_back(entries[token], 0, death, reason) end
    call('ZREM', WORKERS, worker)
    call('ZREM', HUNGRY, worker)
    call('HDEL', TOLD, worker)
    redis.call('UNLINK', prefix .. 'wake:' .. worker)
    for _, role in ipairs({'steward', 'seeder'}) do
        if run[role] == worker then
            set(role, '')
            fresh = fresh + 1000
        end
    end
end
local function reap()
    -- A clock set back would make workers live for ever.
    for _, worker in ipairs(call('ZRANGEBYSCORE', WORKERS, text(now + 10 * patience), '+inf')) do
        call('ZADD', WORKERS, text(now + patience), worker)
    end
    for _, worker in ipairs(call('ZRANGEBYSCORE', WORKERS, '-inf', text(now), 'LIMIT', 0, 20)) do
        if worker == '' or #worker > 400 or string.find(worker, '%c') then reject('not a worker', worker) end
        count('deaths', 1)
        dismiss(worker, 1, 'its worker ' .. string.gsub(string.sub(worker, 1, 100), '%c', '?') .. ' died')
    end
end
local function find_workers()
    -- Where a stranger has taken the place of the list of workers, none of them is dead for that.
    local before = strangers
    call('ZCARD', WORKERS)
    if strangers == before then return end
    for _, worker in ipairs(call('HKEYS', TOLD)) do
        if worker ~= '' then call('ZADD', WORKERS, text(now + patience), worker) end
    end
end
local function identify() call('HSET', TOLD, '', run.id .. '\n' .. (run.name or '')) end
local function check(mine)
    -- Keys that are seldom looked at: once a heartbeat they are, so that a stranger in any of them is told.
    local kinds = {[index] = 'zset', [HUNGRY] = 'zset', [SEEN] = 'hash', [TOLD] = 'hash', [mine] = 'hash',
        [SUSPECTS] = 'list', [DEAD] = 'list', [REJECTED] = 'list', [GARBAGE] = 'list'}
    for name, kind in pairs(kinds) do
        local is = redis.call('TYPE', name).ok
        if is ~= kind and is ~= 'none' then put_aside(name) end
    end
    if call('HLEN', SEEN) > 3 then
        load_seen()
        put_aside(SEEN)
        seen.changed = true
    end
    if call('HLEN', TOLD) > call('ZCARD', WORKERS) + 1 then
        for _, worker in ipairs(call('HKEYS', TOLD)) do
            if worker ~= '' and not call('ZSCORE', WORKERS, worker) then
                call('HDEL', TOLD, worker)
                reject('not a worker', worker)
            end
        end
    end
    identify()
end
local function is_alive(worker) return worker and worker ~= '' and call('ZSCORE', WORKERS, worker) end
local function leased()
    local total = 0
    for _, worker in ipairs(call('ZRANGE', WORKERS, 0, -1)) do
        total = total + call('HLEN', prefix .. 'leases:' .. worker)
    end
    return total
end

local function wipe()
    for _, bucket in ipairs(call('ZRANGE', index, 0, -1)) do redis.call('UNLINK', prefix .. 'queue:' .. bucket) end
    redis.call('UNLINK', index, SUSPECTS, DEAD, REJECTED)
    set('queued', '0')
    forget()
end

local operations = {}

-- worker, name of the run, keep what was seen, wipe first, arguments, what is none in their place
-- -> id, state; or id, 'other', arguments of the run, which are not these
function operations.join()
    local worker, name, persist, flush = argument(), argument(), argument() == '1', argument() == '1'
    local arguments, stranger = argument(), argument()
    load()
    find_workers()
    reap()
    wake_some(fresh)
    local alone = call('ZCARD', WORKERS) == 0
    local over = run.state ~= 'running' or (recovered and whole(run.queued) == 0)
    if name ~= '' and run.name == name then over = over and run.state ~= 'done' end
    if alone and flush and not (name ~= '' and run.name == name) then
        wipe()
        over = true
    end
    if (over and alone) or not run.id or run.id == '' then
        local token, turn, queued = run.token, run.turn, run.queued
        redis.call('UNLINK', RUN)
        run, changed = {}, {}
        if not persist then
            wipe()
            queued = '0'
        end
        set('id', text(now) .. '-' .. worker)
        set('name', name)
        set('arguments', arguments)
        set('state', 'running')
        set('started', text(now))
        set('token', text(math.max(whole(token), now * 1000)))
        set('turn', text(whole(turn)))
        set('queued', text(whole(queued)))
    end
    if run.arguments ~= arguments then
        if run.arguments and run.arguments ~= stranger then return {run.id, 'other', run.arguments} end
        if run.arguments then reject('not arguments', stranger) end
        set('arguments', arguments)
    end
    call('ZADD', WORKERS, text(now + patience), worker)
    call('HSET', TOLD, worker, '0')
    identify()
    return {run.id, run.state}
end
