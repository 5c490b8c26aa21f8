-- most -> how many hashes of forgotten fingerprints are left
function operations.sweep()
    local most = whole(argument())
    local entry = call('LPOP', GARBAGE)
    if not entry then return 0 end
    local g, n = string.match(entry, '^(%d+):(%d+)$')
    if not g then
        load()
        reject('no fingerprints', entry)
        return call('LLEN', GARBAGE)
    end
    n = whole(n)
    for i = n - 1, math.max(0, n - most), -1 do redis.call('UNLINK', SEEN .. ':' .. tostring(g) .. ':' .. text(i)) end
    if n > most then call('LPUSH', GARBAGE, g .. ':' .. text(n - most)) end
    return math.max(0, n - most) + call('LLEN', GARBAGE)
end

-- -> fields of the run, how many are seen, in the queue, suspect; workers and what they hold
function operations.counts()
    load()
    load_seen()
    local queued = 0
    for _, bucket in ipairs(call('ZRANGE', index, 0, -1)) do queued = queued + call('LLEN', prefix .. 'queue:' .. bucket) end
    local fields, workers = {}, {}
    for field, value in pairs(run) do
        fields[#fields + 1] = field
        fields[#fields + 1] = value
    end
    for _, worker in ipairs(call('ZRANGE', WORKERS, 0, -1)) do
        workers[#workers + 1] = {worker, call('ZSCORE', WORKERS, worker), call('HGETALL', prefix .. 'leases:' .. worker)}
    end
    return {fields, seen.count, queued + call('LLEN', SUSPECTS), call('LLEN', DEAD), text(now), workers}
end

-- list, most -> its last entries
function operations.entries()
    local name, most = argument(), whole(argument())
    load()
    return call('LRANGE', prefix .. name, -most, -1)
end

-- -> how many of the dead went back into the queue
function operations.requeue()
    load()
    local back = 0
    for _ = 1, call('LLEN', DEAD) do
        local entry = call('LPOP', DEAD)
        local priority, host, request = string.match(entry, '^%d+,%d+,%d+,(-?%d+),([^\n]*)\n[^\n]*\n(.*)$')
        if priority then
            enqueue(whole(priority), host, request)
            back = back + 1
        else
            reject('not a dead page', entry)
        end
    end
    set('dead', '0')
    if back > 0 and run.state == 'done' then set('state', 'running') end
    wake_some(fresh)
    return back
end

-- even under live workers -> 1, or 0 because there are some
function operations.clear()
    local force = argument() == '1'
    load()
    reap()
    wake_some(fresh)
    if call('ZCARD', WORKERS) > 0 and not force then return 0 end
    for _, worker in ipairs(call('ZRANGE', WORKERS, 0, -1)) do
        redis.call('UNLINK', prefix .. 'leases:' .. worker)
        wake(worker)
    end
    wipe()
    redis.call('UNLINK', RUN, WORKERS, HUNGRY, TOLD)
    changed, strangers = {}, 0
    return 1
end

-- reason, value: what a client met that is not ours
function operations.stranger()
    load()
    reject(argument(), argument())
end

local reply = operations[op]()
save_seen()
save()
return reply
