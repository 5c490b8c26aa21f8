-- A worker's report and its next pages, in one round trip.
local me = {hosts = {}, held = 0} -- the worker, the key of its leases, how many it holds of each host and together
local fenced, added, dropped = 0, 0, 0

-- How many of the operations that are reported now were done before, or nil: the server lost some that were.
local function arrive(worker, sequence)
    me.worker, me.leases, me.status = worker, prefix .. 'leases:' .. worker, 'ok'
    call('HLEN', me.leases)
    hear_all(prefix .. 'wake:' .. worker)
    local known = whole(redis.call('HGET', SEQUENCES, worker))
    local is_member = redis.call('ZSCORE', WORKERS, worker)
    -- A server that came back with an older state lost what this worker had reported, the children of pages in its
    -- hands among it: it is to do those pages again, and start(), too.
    me.is_older = known < sequence
    if me.is_older then
        if is_member then dismiss(worker, 0, '') end
        redis.call('HSET', SEQUENCES, worker, text(sequence))
        known = sequence
    end
    if not is_member then me.status = 'rejoined' elseif me.is_older then me.status = 'older' end
    redis.call('ZADD', WORKERS, text(now + expiry), worker)
    expire_workers()
    return known - sequence
end

-- What the worker holds, as it knows it: leases whose grant it never learnt of go back.
local function reconcile(has_all)
    for _ = 1, whole(argument()) do
        local host = argument()
        me.hosts[host] = whole(argument())
        me.held = me.held + me.hosts[host]
    end
    local known = {}
    for _ = 1, whole(argument()) do known[argument()] = true end
    if not has_all then return end
    local flat = redis.call('HGETALL', me.leases)
    for i = 1, #flat, 2 do
        if not known[flat[i]] then
            redis.call('HDEL', me.leases, flat[i])
            put_back(flat[i + 1], 0, 0, '')
        end
    end
end

local function add(kind, fingerprint, bucket, request)
    local own = string.sub(fingerprint, 1, 12)
    if is_full and (kind == 'u' or not is_seen(own)) then return false end
    if kind ~= 'u' and not remember(own) then
        dropped = dropped + 1
        return true
    end
    local place, mark = string.match(bucket, '^([^\n]*)\n?(.*)$')
    local priority, host = bucket_parts(place)
    enqueue(priority, host, request)
    is_queued_now()
    if mark == 'gallery' and kind ~= 'u' then count('galleries', 1) end
    if kind == 's' then
        remember(string.sub(fingerprint, 13))
        is_queued_now()
    end
    added = added + 1
    return true
end
local function finish(kind, token, b, counts)
    local entry = kind ~= 'done' and redis.call('HGET', me.leases, token)
    if redis.call('HDEL', me.leases, token) == 0 then
        fenced = fenced + 1
    elseif kind == 'failed' then
        count('failed', 1)
        if put_back(entry, 1, 0, b, counts) then settle(counts) end -- until somebody has it done again: admin.lua
    elseif kind == 'again' then
        settle_done(counts)
        local bucket, request = string.match(b, '^([^\n]*)\n(.*)$')
        local failures, deaths = string.match(entry, '^(%d+),(%d+)')
        local priority, host = bucket_parts(bucket)
        put_back(table.concat({failures or '0', deaths or '0', '0', text(priority), host}, ',') .. '\n' .. request, 0, 0, '')
    else
        count('leased', -1)
        settle_done(counts)
        if kind == 'done' then count('done', 1) else reject(b, string.match(entry, '^[^\n]*\n(.*)$') or entry) end
    end
end
-- -> how many of the operations are done: all, but for pages that a full server has no room for, and what follows them
local WITH_MORE = {c = true, u = true, s = true, done = true, failed = true, again = true, reject = true}
local function report(skip, sequence)
    local ops = whole(argument())
    local accepted = ops
    for i = 1, ops do
        local kind, a, b = argument(), argument(), argument()
        local more = WITH_MORE[kind] and argument() -- a request, or what the items of a page have counted
        if i > skip and i <= accepted then
            if #kind == 1 then
                if not add(kind, a, b, more) then accepted = i - 1 end
            elseif kind == 'seeded' then
                if not me.is_older then seeded(me.list, a, b) end
            elseif kind == 'running' then
                if run.state == 'done' then set('state', 'running') end
            elseif kind == 'foreign' then
                reject(a, b)
            else
                finish(kind, a, b, more)
            end
        end
    end
    if accepted > skip then redis.call('HSET', SEQUENCES, me.worker, text(sequence + accepted)) end
    count('enqueued', added)
    save_settled(me.worker)
    return accepted
end

-- Leases. Tokens are the caller's: the number of its exchange, and of the lease in that, so that none is given twice.
local function grant(answer, failures, deaths, priority, host, request)
    local token = text(answer.number * 1024 + #answer)
    write_later(me.leases, token,
        table.concat({failures, deaths, text(wall), text(priority), host}, ',') .. '\n' .. request)
    answer[#answer + 1] = {token, text(priority), request}
    answer.bytes = answer.bytes + #request
    me.hosts[host] = (me.hosts[host] or 0) + 1
    me.held = me.held + 1
    count('leased', 1)
end
local function lease_from(answer, host, priority)
    local name = prefix .. 'queue:' .. text(priority) .. ':' .. host
    local element = call('LPOP', name)
    if element and #answer > 0 and answer.bytes + #element > ANSWER then
        redis.call('LPUSH', name, element)
        answer.is_cut = true
        return
    end
    if element then
        count('queued', -1)
        local failures, deaths, request = string.match(element, '^(%d+),(%d+)\n(.*)$')
        request = request or element
        if #request > max_size then
            reject('too large', request)
        else
            grant(answer, failures or '0', deaths or '0', priority, host, request)
        end
    else
        reject('not a queue', host)
    end
    if redis.call('LLEN', name) == 0 then replace(host, priority) else redis.call('ZADD', index, score(priority), host) end
end
-- A page that was in hand when several workers died is done alone: the next death shows whether it is the cause.
local function lease_quarantined(answer)
    local entry = redis.call('LPOP', QUARANTINED)
    if not entry then return end
    local failures, deaths, priority, host, request = string.match(entry, '^(%d+),(%d+),(-?%d+),([^\n]*)\n(.*)$')
    if request and #request <= max_size then
        grant(answer, failures, deaths, whole(priority), host, request)
        answer.is_quarantined = true
    else
        reject('not a page', entry)
    end
end
local function lease(answer, wanted, per_host, may_quarantine)
    -- Late workers still find work: nobody holds more than its share of what there is.
    local workers, skip = redis.call('ZCARD', WORKERS), 0
    if workers > 1 then
        local share = math.ceil((whole(run.queued) + whole(run.leased)) / workers) - me.held
        wanted = math.min(wanted, math.max(share, me.held == 0 and 1 or 0))
    end
    while #answer < wanted and not answer.is_cut do
        local host, its_score = unpack(redis.call('ZRANGE', index, skip, skip, 'WITHSCORES'))
        if not host then break end
        if (me.hosts[host] or 0) >= per_host then
            skip = skip + 1
        else
            lease_from(answer, host, priority_of(its_score))
        end
    end
    if #answer == 0 and me.held == 0 and may_quarantine then lease_quarantined(answer) end
end

-- Roles, and the end
local function take_roles(can_seed, has_seeded)
    if has_seeded and me.status == 'rejoined' then -- it was silent, and start() did not kill it
        count('seedings', -1)
        count('turn', 1)
    end
    if not is_alive(run.feeder) then set('feeder', me.worker) end
    if run.seeder == me.worker and not can_seed then set('seeder', '') end
    if run.seeded ~= '1' and can_seed and not is_alive(run.seeder) then
        set('seeder', me.worker)
        count('seedings', 1)
        if whole(run.seedings) > max_failures then
            set('seeded', '1')
            set('error', 'start() killed its worker ' .. max_failures .. ' times')
        end
    end
end
local function is_empty() return redis.call('ZCARD', index) == 0 and redis.call('LLEN', QUARANTINED) == 0 end
-- Once, before the end, and while nothing else is left: what others changed in our keys is no reason to end early, or never.
local function count_again()
    flush()
    local leased = 0
    for _, worker in ipairs(redis.call('ZRANGE', WORKERS, 0, -1)) do leased = leased + call('HLEN', prefix .. 'leases:' .. worker) end
    set('leased', text(leased))
    return leased
end
local LACKS = ' pages that were queued, expected all of them'
local function is_quiet() return is_empty() and whole(run.leased) == 0 end
-- It changes with whatever is queued or seeded.
local function signature() return text(whole(run.turn)) .. ':' .. text(whole(run.seedings)) end
-- In a shard that is not home: the feeder of the run, who says so, hears when there is nothing left.
local function look_for_quiet(is_feeder)
    if is_feeder and run.feeder ~= me.worker then set('feeder', me.worker) end
    if is_empty() and is_feeder then count_again() end
    if not is_quiet() then return end
    if is_feeder and whole(run.queued) > 0 then fail(index .. ' lacks ' .. run.queued .. LACKS) end
    if not is_feeder and changed.leased and redis.call('ZREM', WAITING, run.feeder or '') == 1 then wake(run.feeder) end
end
local function look_for_end(has_nothing, has_all, idle, may_end)
    local is_feeder = run.feeder == me.worker
    local nothing = run.seeded == '1' and is_empty()
    if nothing and is_feeder and has_nothing and (has_all or whole(run.leased) == 0) then count_again() end
    nothing = nothing and whole(run.leased) == 0
    if nothing and not is_feeder and (run.idle_since or '') == '' and redis.call('ZREM', WAITING, run.feeder) == 1 then
        wake(run.feeder) -- only it knows whether this is the end
    end
    if not (nothing and is_feeder and has_nothing and may_end) then
        if is_feeder and run.idle_since then set('idle_since', '') end
    elseif whole(run.queued) > 0 then
        fail(index .. ' lacks ' .. run.queued .. LACKS)
    elseif idle > 0 and (run.idle_since or '') == '' then
        set('idle_since', text(now))
    elseif idle == 0 or now - whole(run.idle_since) >= idle then
        set('state', 'done')
        set('ended', text(wall))
        wake_some(redis.call('ZCARD', WORKERS))
    end
end
-- Whoever seeds or feeds leaves room for what the pages lead to.
local function has_room(asks)
    if is_full or not asks then return not is_full end
    local memory = redis.call('INFO', 'memory')
    local used = tonumber(string.match(memory, 'used_memory:(%d+)') or 0)
    local most = tonumber(string.match(memory, 'maxmemory:(%d+)') or 0)
    return most == 0 or used < 0.8 * most
end

function operations.exchange()
    local id, worker = argument(), argument()
    local wanted, per_host, flags, idle = whole(argument()), whole(argument()), argument(), whole(argument())
    local expected = argument() -- the signature of this shard when all shards were quiet, or ''
    local sequence, number = whole(argument()), whole(argument())
    me.list = argument()
    local function flag(letter) return string.find(flags, letter, 1, true) ~= nil end
    load()
    if run.id ~= id then return {'gone', run.state or ''} end
    if not run.format then set('format', FORMAT) end -- who is in it reads and writes this one
    local leave = flag('l')
    local skip = arrive(worker, sequence)
    reconcile(flag('h'))
    local accepted = report(skip, sequence)
    if fresh > 0 and run.state == 'done' then set('state', 'running') end
    local answer = {number = number, bytes = 0}
    if leave then
        dismiss(worker, 0, '')
    elseif wanted > 0 then
        lease(answer, math.min(wanted, 1000), per_host, not flag('x') and not flag('w') or flag('q'))
    end
    look_for_list(me.list)
    if flag('x') then
        if not leave then look_for_quiet(flag('f')) end
    elseif run.state == 'running' and not leave then
        take_roles(flag('s'), flag('i'))
        look_for_end(flag('e'), flag('h'), idle, not flag('w') or expected == signature())
    end
    local workers = redis.call('ZCARD', WORKERS)
    local short = wanted > #answer and not answer.is_cut
    if leave then
        if workers == 0 and (run.state == 'done' or flag('d')) and not flag('p') then
            forget()
            redis.call('UNLINK', WAITING)
        end
        wake_some(1000)
    else
        redis.call('ZREM', WAITING, worker)
        wake_some(math.min(fresh, 1000) - #answer)
        -- Not before: it has looked, so nothing above is news to it.
        if short and not flag('b') and not answer.is_quarantined and run.state == 'running' then
            redis.call('ZADD', WAITING, text(me.held), worker)
        end
    end
    local is_seeder = run.seeder == worker
    local of_several = flag('x') or flag('w') -- shards: one alone needs not know the rest
    local seeds = flag('x') and flag('s') or is_seeder and run.seeded ~= '1' or run.feeder == worker
    local flags_ = {run.seeded == '1', is_seeder, run.feeder == worker, answer.is_quarantined, short, has_room(seeds),
        of_several and is_quiet()}
    for i = 1, 7 do flags_[i] = flags_[i] and 1 or 0 end
    local leases = {}
    for i, granted in ipairs(answer) do leases[i] = granted end
    local best = of_several and redis.call('ZRANGE', index, 0, 0, 'WITHSCORES')[2]
    local top = best and text(priority_of(best)) or ''
    return {me.status, run.state or '', run.error or '', top, signature(), flags_, {accepted, fenced, added, dropped, workers,
        whole(run.queued), whole(run.done), whole(run.dead), whole(run.rejected), redis.call('LLEN', QUARANTINED)}, leases}
end
