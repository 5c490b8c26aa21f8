-- The queue. A list for each host costs as much as several pages, and of a million hosts only some are asked at a time:
-- so only some have a list of their own at each priority, and the pages of the others wait in one backlog.
-- A host stands in the index once, with the highest priority that it has pages of: one of which a worker has enough hides
-- no other, whatever the priorities of its pages are.
local fresh = 0 -- pages that others may want to hear of
local function score(priority)
    count('turn', 1)
    return text(-priority * TURNS + whole(run.turn) % TURNS)
end
local function priority_of(its_score) return 0 - math.floor(tonumber(its_score) / TURNS) end
local function others_of(host) return prefix .. 'priorities:' .. host end
local lists, most_lists = {}, nil -- how many hosts have a list, by priority; how many may
local function count_lists(priority, by)
    local field = text(priority)
    lists[field] = math.max(0, (lists[field] or whole(redis.call('HGET', HOSTS, field))) + by)
    if by ~= 0 then write_later(HOSTS, field, text(lists[field])) end
    return lists[field]
end
local function may_have_list(priority)
    most_lists = most_lists or 1000 + 64 * redis.call('ZCARD', WORKERS)
    return count_lists(priority, 0) < most_lists
end
local function stand_in_index(priority, host)
    local first = redis.call('ZSCORE', index, host)
    first = first and priority_of(first)
    if first and first >= priority then
        if first > priority then call('ZADD', others_of(host), text(-priority), text(priority)) end
        return
    end
    if first then call('ZADD', others_of(host), text(-first), text(first)) end
    redis.call('ZADD', index, score(priority), host)
end
local function place(priority, host, element, front)
    local name = prefix .. 'queue:' .. text(priority) .. ':' .. host
    if front or may_have_list(priority) then
        if call(front and 'LPUSH' or 'RPUSH', name, element) > 1 then return end
        stand_in_index(priority, host)
        count_lists(priority, 1)
    elseif call('RPUSHX', name, element) == 0 then
        call('RPUSH', prefix .. 'backlog:' .. text(priority), host .. '\n' .. element)
    end
end
local function enqueue(priority, host, element, front)
    place(priority, host, element, front)
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
-- The host's list of its highest priority is empty: its next one is that now, and another host has its place.
local function replace(host, priority)
    local following = call('ZPOPMIN', others_of(host))[1]
    while following and not bucket_parts(following .. ':') do
        reject('not a priority', following)
        following = call('ZPOPMIN', others_of(host))[1]
    end
    if following then
        redis.call('ZADD', index, score(whole(following)), host)
    else
        redis.call('ZREM', index, host)
    end
    count_lists(priority, -1)
    local backlog = prefix .. 'backlog:' .. text(priority)
    for _ = 1, 4 do
        local entry = may_have_list(priority) and call('LPOP', backlog)
        if not entry then return end
        local host, element = string.match(entry, '^([^\n]*)\n(.*)$')
        if host then
            place(priority, host, element)
        else
            count('queued', -1)
            reject('not a page', entry)
        end
    end
end
-- A page that was leased returns to the queue, or ends among the dead, with what it has counted: -> true.
local function put_back(entry, failure, death, reason, counts)
    local failures, deaths, _, priority, host, request = string.match(entry, '^(%d+),(%d+),(%d+),(-?%d+),([^\n]*)\n(.*)$')
    if not failures then return reject('not a lease', entry) end
    count('leased', -1)
    failures, deaths, priority = whole(failures) + failure, whole(deaths) + death, whole(priority)
    if failures + deaths >= max_failures and failure + death > 0 then
        count('dead', 1)
        redis.call('RPUSH', DEAD, table.concat({text(wall), text(failures), text(deaths), text(priority), host}, ',')
            .. '\t' .. string.gsub(counts or '', '\n', '\t') .. '\n' .. reason .. '\n' .. request)
        return true
    end
    if failure + death > 0 then count('redelivered', 1) end
    local history = failures + deaths > 0 and failures .. ',' .. deaths .. '\n' or ''
    if deaths >= 2 then
        redis.call('RPUSH', QUARANTINED, table.concat({failures, deaths, text(priority), host}, ',') .. '\n' .. request)
        fresh = fresh + 1
    else
        enqueue(priority, host, history .. request, failure == 0)
    end
end
local function wipe()
    flush()
    lists = {}
    local hosts = redis.call('ZRANGE', index, 0, -1, 'WITHSCORES')
    for i = 1, #hosts, 2 do
        local others = others_of(hosts[i])
        redis.call('UNLINK', prefix .. 'queue:' .. text(priority_of(hosts[i + 1])) .. ':' .. hosts[i])
        for _, priority in ipairs(call('ZRANGE', others, 0, -1)) do
            redis.call('UNLINK', prefix .. 'queue:' .. priority .. ':' .. hosts[i])
        end
        redis.call('UNLINK', others)
    end
    for _, priority in ipairs(redis.call('HKEYS', HOSTS)) do redis.call('UNLINK', prefix .. 'backlog:' .. priority) end
    redis.call('UNLINK', index, HOSTS, QUARANTINED, DEAD, REJECTED)
    set('queued', '0')
    forget()
end
