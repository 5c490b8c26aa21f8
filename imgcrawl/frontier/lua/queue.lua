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
