-- A worker's report and its next pages, in one round trip.
function operations.exchange()
    local id, worker = argument(), argument()
    local wanted, per_host, flags, idle = whole(argument()), whole(argument()), argument(), whole(argument())
    local said = whole(argument())
    local function flag(letter) return string.find(flags, letter, 1, true) end
    load()
    if run.id ~= id then return {'gone', run.state or ''} end
    local status, mine = 'ok', prefix .. 'leases:' .. worker
    find_workers()
    if flag('h') then check(mine) end
    call('LLEN', prefix .. 'wake:' .. worker)
    local deadline = call('ZSCORE', WORKERS, worker)
    -- A server that came back with an older state lost what this worker had reported, the children of pages in its
    -- hands among it: it is to do those pages again, and start(), too.
    local older = whole(call('HGET', TOLD, worker)) < said
    if older and deadline then
        status = 'older'
        dismiss(worker, 0, '')
    elseif deadline and whole(deadline) <= now then
        -- It was Redis that was away, or all of us: nobody is dead for that.
        for _, other in ipairs(call('ZRANGEBYSCORE', WORKERS, '-inf', text(now))) do
            call('ZADD', WORKERS, text(now + patience), other)
        end
    elseif not deadline then
        status = 'rejoined'
    end
    call('ZADD', WORKERS, text(now + patience), worker)
    reap()

    -- What the worker holds, as it knows it: leases whose grant it never learnt of go back.
    local hosts, held = {}, 0
    for _ = 1, whole(argument()) do
        local host = argument()
        hosts[host] = whole(argument())
        held = held + hosts[host]
    end
    local known = {}
    for _ = 1, whole(argument()) do known[argument()] = true end
    if flag('h') then
        local flat = call('HGETALL', mine)
        for i = 1, #flat, 2 do
            if not known[flat[i]] then
                call('HDEL', mine, flat[i])
                put_back(flat[i + 1], 0, 0, '')
            end
        end
    end

    local fenced, added, dropped = 0, 0, 0
    local ops = whole(argument())
    if ops > 0 or not deadline then call('HSET', TOLD, worker, text(said + ops)) end
    for _ = 1, ops do
        local kind, a, b = argument(), argument(), argument()
        if kind == 'c' or kind == 'u' or kind == 's' then
            local request = argument()
            local new = kind == 'u' or is_new(string.sub(a, 1, 12))
            if kind == 's' and new then is_new(string.sub(a, 13)) end
            if new then
                local priority, host = bucket_parts(b)
                enqueue(priority, host, request)
                added = added + 1
            else
                dropped = dropped + 1
            end
        elseif kind == 'seeded' then
            if not older then
                set('seeded', '1')
                set('error', a)
            end
        elseif kind == 'stranger' then
            reject(a, b)
        else
            local entry = call('HGET', mine, a)
            if not entry then
                fenced = fenced + 1
            else
                call('HDEL', mine, a)
                if kind == 'done' then
                    count('done', 1)
                elseif kind == 'failed' then
                    count('failed', 1)
                    put_back(entry, 1, 0, b)
                elseif kind == 'again' then
                    local bucket, request = string.match(b, '^([^\n]*)\n(.*)$')
                    local failures, deaths = string.match(entry, '^(%d+),(%d+)')
                    local priority, host = bucket_parts(bucket)
                    put_back(table.concat({failures or '0', deaths or '0', '0', text(priority), host}, ',') .. '\n' .. request, 0, 0, '')
                elseif kind == 'reject' then
                    local request = string.match(entry, '^[^\n]*\n(.*)$')
                    reject(b, request or entry)
                end
            end
        end
    end
    count('enqueued', added)
    if fresh > 0 and run.state == 'done' then set('state', 'running') end

    local workers = call('ZCARD', WORKERS)
    local reply, bytes, suspect, cut = {}, 0, false, false
    local function grant(failures, deaths, priority, host, request)
        set('token', text(math.max(whole(run.token) + 1, now * 1000)))
        call('HSET', mine, run.token, table.concat({failures, deaths, text(now), text(priority), host}, ',') .. '\n' .. request)
        reply[#reply + 1] = {run.token, text(priority), request}
        bytes = bytes + #request
        held = held + 1
    end
    if not flag('l') and wanted > 0 then
        if call('ZCARD', index) == 0 and whole(run.queued) > 0 then rebuild() end
        -- Late workers still find work: nobody holds more than its share of what there is.
        local most, skip = wanted, 0
        if workers > 1 then
            local share = math.ceil((whole(run.queued) + leased()) / workers) - held
            most = math.min(wanted, math.max(share, held == 0 and 1 or 0))
        end
        while #reply < most and skip < 200 and not cut do
            local bucket = call('ZRANGE', index, skip, skip)[1]
            if not bucket then break end
            local priority, host = bucket_parts(bucket)
            if not priority then
                call('ZREM', index, bucket)
                reject('not a queue', bucket)
            elseif (hosts[host] or 0) >= per_host then
                skip = skip + 1
            else
                local name = prefix .. 'queue:' .. bucket
                local element = call('LPOP', name)
                cut = element and #reply > 0 and bytes + #element > ANSWER
                if cut then
                    call('LPUSH', name, element)
                elseif call('LLEN', name) == 0 then
                    call('ZREM', index, bucket)
                else
                    call('ZADD', index, score(priority), bucket)
                end
                if element and not cut then
                    count('queued', -1)
                    local failures, deaths, request = string.match(element, '^(%d+),(%d+)\n(.*)$')
                    request = request or element
                    if #request > max_size then
                        reject('too large', request)
                    else
                        hosts[host] = (hosts[host] or 0) + 1
                        grant(failures or '0', deaths or '0', priority, host, request)
                    end
                end
            end
        end
        if #reply == 0 and held == 0 then
            -- A page that was in hand when several workers died is done alone: the next death shows whether it is the cause.
            local entry = call('LPOP', SUSPECTS)
            if entry then
                local failures, deaths, priority, host, request = string.match(entry, '^(%d+),(%d+),(-?%d+),([^\n]*)\n(.*)$')
                if request and #request <= max_size then
                    grant(failures, deaths, whole(priority), host, request)
                    suspect = true
                else
                    reject('not a page', entry)
                end
            end
        end
    end

    if flag('l') then dismiss(worker, 0, '') end
    if run.state == 'running' and not flag('l') then
        if not is_alive(run.steward) then set('steward', worker) end
        if run.seeder == worker and not flag('s') then set('seeder', '') end
        if run.seeded ~= '1' and flag('s') and not is_alive(run.seeder) then
            set('seeder', worker)
            count('seedings', 1)
            if whole(run.seedings) > max_failures then
                set('seeded', '1')
                set('error', 'start() killed its worker ' .. max_failures .. ' times')
            end
        end
        local nothing = run.seeded == '1' and call('ZCARD', index) == 0 and call('LLEN', SUSPECTS) == 0 and leased() == 0
        local empty = nothing and run.steward == worker and flag('e')
        if nothing and run.steward ~= worker and (run.idle_since or '') == '' and call('ZREM', HUNGRY, run.steward) == 1 then
            wake(run.steward) -- only it knows whether this is the end
        end
        if empty and whole(run.queued) > 0 then
            rebuild()
            empty = whole(run.queued) == 0
        end
        if not empty then
            if run.steward == worker and run.idle_since then set('idle_since', '') end
        elseif idle > 0 and (run.idle_since or '') == '' then
            set('idle_since', text(now))
        elseif idle == 0 or now - whole(run.idle_since) >= idle then
            set('state', 'done')
            set('ended', text(now))
            wake_some(workers)
        end
    end
    local short = wanted > #reply and not cut
    if flag('l') then
        workers = call('ZCARD', WORKERS)
        if workers == 0 and run.state == 'done' and not flag('p') then
            forget()
            redis.call('UNLINK', HUNGRY)
        end
        wake_some(1000)
    else
        call('ZREM', HUNGRY, worker)
        wake_some(math.min(fresh, 1000) - #reply)
        -- Not before: it has looked, so nothing above is news to it.
        if short and not suspect and run.state == 'running' then call('ZADD', HUNGRY, text(held), worker) end
    end
    return {status, run.state or '', run.error or '', run.seeded == '1' and 1 or 0, run.seeder == worker and 1 or 0,
        run.steward == worker and 1 or 0, suspect and 1 or 0, short and 1 or 0, fenced, added, dropped, workers,
        whole(run.queued), whole(run.done), whole(run.dead), whole(run.rejected), reply}
end
