-- Everything that happens to the queue of one spider, each operation atomic.
--
-- KEYS[1]  the queue: a zset of "<priority>:<host>", one for each non-empty list of pages
-- ARGV     operation, prefix of all other keys (in the queue's hash slot), milliseconds after which a silent
--          worker is dead, failures after which a page is, bytes a page may have, key of what was seen, then the
--          operation's own
--
--   <prefix>run              hash: the run's id, state, roles, counts and arguments
--   <prefix>queue:<p>:<h>    list: pages of priority p and host h, each "<request>" or "<failures>,<deaths>\n<request>"
--   <prefix>suspects         list: pages in hand at several deaths, "<failures>,<deaths>,<p>,<h>\n<request>"
--   <prefix>leases:<worker>  hash: token -> "<failures>,<deaths>,<since>,<p>,<h>\n<request>"
--   <prefix>workers          zset: worker -> the time at which it counts as dead
--   <prefix>told             hash: worker -> how many operations it has reported; '' -> "<id>\n<name>" of the run, for
--                            the case that a stranger replaces that, or the workers
--   <prefix>hungry           zset: worker that waits for pages -> how many it has; it waits at <prefix>wake:<worker>
--   <seen>:<g>:<n>           hashes: fingerprints of generation g; the hash <seen> says how many of both there are
--   <prefix>dead, rejected   lists: pages given up, values that are not ours
--   <prefix>aside:<key>      whatever stood in the place of a key of ours with another type
local index, op, prefix = KEYS[1], ARGV[1], ARGV[2]
local patience, max_failures, max_size = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local at = 6
local RUN, WORKERS, HUNGRY, SEEN = prefix .. 'run', prefix .. 'workers', prefix .. 'hungry', ARGV[6]
local TOLD = prefix .. 'told'
local SUSPECTS, DEAD, REJECTED, GARBAGE = prefix .. 'suspects', prefix .. 'dead', prefix .. 'rejected', prefix .. 'garbage'
local MAX_PRIORITY, TURNS, BUCKET, KEPT, ANSWER = 1048576, 4294967296, 100, 1000, 262144

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

local function whole(value)
    local n = tonumber(value)
    if not n or n ~= n or n < -9007199254740991 or n > 9007199254740991 then return 0 end
    return math.floor(n)
end
local function text(n) return string.format('%.0f', n) end
local function argument()
    at = at + 1
    return ARGV[at]
end

-- Calls that survive a stranger's value in the place of one of our keys.
local strangers = 0
local function put_aside(name)
    redis.call('RENAME', name, prefix .. 'aside:' .. string.sub(name, -80))
    strangers = strangers + 1
end
local function call(command, name, ...)
    local reply = redis.pcall(command, name, ...)
    if type(reply) == 'table' and reply.err then
        if not string.find(reply.err, 'WRONGTYPE', 1, true) then error(reply.err) end
        put_aside(name)
        reply = redis.call(command, name, ...)
    end
    return reply
end

local FIELDS = {}
for field in string.gmatch('id name arguments state started ended token turn queued done failed dead rejected redelivered '
    .. 'enqueued deaths steward seeder seeded seedings error idle_since', '%S+') do FIELDS[field] = true end
local run, changed, loaded, recovered, rebuild = {}, {}, false, false, nil
local function load()
    local before = strangers
    local flat = call('HGETALL', RUN)
    for i = 1, #flat, 2 do
        if FIELDS[flat[i]] then
            run[flat[i]] = flat[i + 1]
        else
            call('HDEL', RUN, flat[i])
            strangers = strangers + 1
        end
    end
    loaded = true
    if not run.id and strangers > before then
        -- Which run it was is known elsewhere, and what is queued, too; who has yet to say what is start().
        local id, name = string.match(call('HGET', TOLD, '') or '', '^([^\n]+)\n(.*)$')
        if id then
            recovered, run.id, run.name, run.state = true, id, name, 'running'
            changed.id, changed.name, changed.state = true, true, true
            rebuild()
        end
    end
    if run.id and run.state ~= 'done' then run.state = 'running' end
end
local function set(field, value)
    run[field] = value
    changed[field] = true
end
local function count(field, by)
    if by ~= 0 then set(field, text(math.max(0, whole(run[field]) + by))) end
end
local function save()
    if strangers > 0 and not loaded then load() end
    count('rejected', strangers)
    local flat = {}
    for field in pairs(changed) do
        flat[#flat + 1] = field
        flat[#flat + 1] = run[field]
    end
    if #flat > 0 then call('HSET', RUN, unpack(flat)) end
end

local function keep(list, entry)
    call('RPUSH', list, entry)
    call('LTRIM', list, -KEPT, -1)
end
local function reject(reason, value)
    count('rejected', 1)
    keep(REJECTED, text(now) .. '\n' .. reason .. '\n' .. #value .. '\n' .. string.sub(value, 1, 500))
end

-- What was seen: a hash table of small hashes, which Redis stores without overhead; it grows by splitting one
-- hash in two (linear hashing).
local seen
local function load_seen()
    seen = {g = 0, n = 1, count = 0, power = 1}
    local flat = call('HMGET', SEEN, 'generation', 'hashes', 'count')
    seen.g, seen.n, seen.count = whole(flat[1]), math.max(1, whole(flat[2])), whole(flat[3])
    while seen.power * 2 <= seen.n do seen.power = seen.power * 2 end
end
local function save_seen()
    if seen and seen.changed then
        call('HSET', SEEN, 'generation', text(seen.g), 'hashes', text(seen.n), 'count', text(seen.count))
        seen.changed = false
    end
end
local function number_of(fingerprint)
    local a, b, c, d = string.byte(fingerprint, 1, 4)
    return d and ((a * 256 + b) * 256 + c) * 256 + d or 0
end
local function hash_name(i) return SEEN .. ':' .. text(seen.g) .. ':' .. text(i) end
local function split()
    local from, to = hash_name(seen.n - seen.power), hash_name(seen.n)
    local all = call('HKEYS', from)
    local moving, pairs_ = {}, {}
    for _, fingerprint in ipairs(all) do
        if #fingerprint ~= 12 then
            call('HDEL', from, fingerprint)
            strangers = strangers + 1
        elseif number_of(fingerprint) % (2 * seen.power) == seen.n then
            moving[#moving + 1] = fingerprint
            pairs_[#pairs_ + 1] = fingerprint
            pairs_[#pairs_ + 1] = ''
        end
        if #moving == 500 or (fingerprint == all[#all] and #moving > 0) then
            call('HSET', to, unpack(pairs_))
            call('HDEL', from, unpack(moving))
            moving, pairs_ = {}, {}
        end
    end
    seen.n = seen.n + 1
    if seen.n == 2 * seen.power then seen.power = seen.n end
end
local function is_new(fingerprint)
    if not seen then load_seen() end
    local h = number_of(fingerprint)
    local i = h % (2 * seen.power)
    if i >= seen.n then i = h % seen.power end
    if call('HSETNX', hash_name(i), fingerprint, '') == 0 then return false end
    seen.count = seen.count + 1
    seen.changed = true
    if seen.count > seen.n * BUCKET then split() end
    return true
end
local function forget()
    load_seen()
    if seen.count > 0 then call('RPUSH', GARBAGE, text(seen.g) .. ':' .. text(seen.n)) end
    seen = {g = seen.g + 1, n = 1, count = 0, power = 1, changed = true}
end

-- The queue
local fresh = 0
local function score(priority)
    count('turn', 1)
    return text(-priority * TURNS + whole(run.turn) % TURNS)
end
local function enqueue(priority, host, element, front)
    local bucket = text(priority) .. ':' .. host
    local length = call(front and 'LPUSH' or 'RPUSH', prefix .. 'queue:' .. bucket, element)
    if length == 1 then call('ZADD', index, score(priority), bucket) end
    count('queued', 1)
    fresh = fresh + 1
end
local function bucket_parts(bucket)
    local priority, host = string.match(bucket, '^(-?%d+):([^\n]*)$')
    if not priority then return nil end
    priority = whole(priority)
    if math.abs(priority) > MAX_PRIORITY then return nil end
    return priority, host
end
function rebuild()
    -- The queue says less than its lists hold: a stranger took from it or replaced it.
    local pattern = string.gsub(prefix .. 'queue:', '[%*%?%[%]%^%\\]', '\\%0') .. '*'
    local total = 0
    for _, name in ipairs(redis.call('KEYS', pattern)) do
        local bucket = string.sub(name, #prefix + 7)
        local priority = bucket_parts(bucket)
        if priority then
            local length = call('LLEN', name)
            if length > 0 then call('ZADD', index, score(priority), bucket) end
            total = total + length
        end
    end
    set('queued', text(total))
end
local function put_back(entry, failure, death, reason)
    -- A leased page returns to the queue, or ends among the dead.
    local failures, deaths, _, priority, host, request = string.match(entry, '^(%d+),(%d+),(%d+),(-?%d+),([^\n]*)\n(.*)$')
    if not failures then return reject('not a lease', entry) end
    failures, deaths, priority = whole(failures) + failure, whole(deaths) + death, whole(priority)
    if failures + deaths >= max_failures and failure + death > 0 then
        count('dead', 1)
        call('RPUSH', DEAD, table.concat({text(now), text(failures), text(deaths), text(priority), host}, ',')
            .. '\n' .. reason .. '\n' .. request)
        return
    end
    if failure + death > 0 then count('redelivered', 1) end
    local history = failures + deaths > 0 and failures .. ',' .. deaths .. '\n' or ''
    if deaths >= 2 then
        call('RPUSH', SUSPECTS, table.concat({failures, deaths, text(priority), host}, ',') .. '\n' .. request)
        fresh = fresh + 1
    else
        enqueue(priority, host, history .. request, failure == 0)
    end
end

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
