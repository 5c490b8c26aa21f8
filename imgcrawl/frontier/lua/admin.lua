-- most -> how many hashes of forgotten fingerprints are left
function operations.sweep()
    local most = whole(argument())
    local entry = redis.call('LPOP', GARBAGE)
    if not entry then return 0 end
    local g, n = string.match(entry, '^(%d+):(%d+)$')
    if not g then
        load()
        reject('no fingerprints', entry)
        return redis.call('LLEN', GARBAGE)
    end
    n = whole(n)
    local removed = 0
    for i = n - 1, math.max(0, n - most), -1 do
        removed = removed + redis.call('UNLINK', SEEN .. ':' .. tostring(g) .. ':' .. text(i))
    end
    if removed == 0 then n = 0 end -- so many without one are none of ours, and may be said to be any number
    if n > most then redis.call('LPUSH', GARBAGE, g .. ':' .. text(n - most)) end
    return math.max(0, n - most) + redis.call('LLEN', GARBAGE)
end

-- -> fields of the run, how many are seen, in the queue, dead; how many workers there are; galleries that are done
function operations.counts()
    load()
    load_seen()
    local fields = {}
    for field, value in pairs(run) do
        fields[#fields + 1] = field
        fields[#fields + 1] = value
    end
    local queued = whole(run.queued) + redis.call('LLEN', QUARANTINED)
    local galleries = 0
    for _, name in ipairs({'gallery/count', 'gallery/failed'}) do
        local number = redis.pcall('HGET', prefix .. 'stats:' .. (run.id or ''), name)
        galleries = galleries + whole(type(number) == 'string' and #number < 20 and number)
    end
    return {fields, seen.count, queued, redis.call('LLEN', DEAD), redis.call('ZCARD', WORKERS), galleries}
end

-- most -> workers, at most so many, each with what it holds
function operations.workers()
    local workers = {}
    for i, worker in ipairs(redis.call('ZRANGE', WORKERS, 0, whole(argument()) - 1)) do
        workers[i] = {worker, call('HGETALL', prefix .. 'leases:' .. worker)}
    end
    return workers
end

-- list, most -> its last entries
function operations.entries()
    local name, most = argument(), whole(argument())
    return redis.call('LRANGE', prefix .. name, -most, -1)
end

-- how many went back in other shards of the run -> how many of the dead went back into the queue, 1,000 at the most
function operations.requeue()
    load()
    upgrade()
    local back, elsewhere = 0, whole(argument())
    for _ = 1, math.min(1000, redis.call('LLEN', DEAD)) do
        local entry = redis.call('LPOP', DEAD)
        local head, request = string.match(entry, '^([^\n]*)\n[^\n]*\n(.*)$')
        local at, priority, host, counts = string.match(head or '', '^(%d+),%d+,%d+,(-?%d+),([^\t]*)\t?(.*)$')
        if priority then
            local function is_there(name) return whole(at) >= whole(run.forgiven) or not is_forgiven(name) end
            if whole(at) >= whole(run.started) then take_back((string.gsub(counts, '\t', '\n')), is_there) end -- not of another run
            enqueue(whole(priority), host, request)
            back = back + 1
        else
            reject('not a dead page', entry)
        end
    end
    set('dead', text(redis.call('LLEN', DEAD)))
    count('turn', elsewhere) -- the shards are not quiet, whoever has just seen them so
    if back + elsewhere > 0 and run.state == 'done' then set('state', 'running') end
    wake_some(fresh)
    save_settled()
    return {back, redis.call('LLEN', DEAD)}
end

-- even under live workers -> 1, or 0 because there are some
function operations.clear()
    local force = argument() == '1'
    load()
    expire_workers()
    wake_some(fresh)
    if redis.call('ZCARD', WORKERS) > 0 and not force then return 0 end
    for _, worker in ipairs(redis.call('ZRANGE', WORKERS, 0, -1)) do
        redis.call('UNLINK', prefix .. 'leases:' .. worker)
        wake(worker)
    end
    redis.call('UNLINK', WORKERS, WAITING)
    upgrade()
    wipe()
    redis.call('UNLINK', RUN, SEQUENCES, CLOCK)
    changed = {}
    return 1
end

-- run, fingerprint and name of a page, name of a gallery that has led there -> whether that was queued, the first
-- gallery to lead there, the number of this one among them, 4 for all after the third; 0 where there is no room to note it
function operations.arrive()
    local ends, known, page, gallery = prefix .. 'stats:' .. argument() .. ':ends', argument(), argument(), argument()
    local is = redis.call('TYPE', ends).ok
    if is ~= 'hash' and is ~= 'none' then redis.call('DEL', ends) end
    local noted = redis.call('HGET', ends, page)
    if is_full or (not noted and redis.call('HLEN', ends) >= MAX_ENDS) then return {0, '', 0} end
    local galleries, number = {}, nil
    for each in string.gmatch(string.sub(noted or '', 1, 200), '%x+') do
        galleries[#galleries + 1] = each
        if each == gallery then number = #galleries end
    end
    if not number and #galleries < 3 then
        galleries[#galleries + 1] = gallery
        number = #galleries
        redis.call('HSET', ends, page, table.concat(galleries, ','))
        redis.call('EXPIRE', ends, 86400 * 30)
    end
    return {is_seen(known) and 1 or 0, galleries[1], math.min(number or 4, 4)}
end

-- reason, value: what a client met that is not ours
function operations.foreign()
    load()
    reject(argument(), argument())
end

local reply = operations[op]()
save_seen()
save()
return reply
