-- What is known of a host.

-- Of *names*, those that are workers, as a set.
local function alive(names)
    local found = {}
    if #names > 0 then
        for i, score in ipairs(call('ZMSCORE', WORKERS, unpack(names))) do
            found[names[i]] = score and number(score) > now
        end
    end
    return found
end

local KNOWN = {}
for field in string.gmatch('last paced slowed slowed_at eased_at blocked epoch doubts troubles why by at known delay '
    .. 'concurrency', '%S+') do
    KNOWN[field] = true
end

-- The state of a host, who else has permits there, and what this worker has. What others have written there is removed.
local function read_host(key)
    local state, found, names, others, mine = {}, {}, {}, {}, nil
    if call('HLEN', key) > MOST_FIELDS then call('UNLINK', key) end
    local flat = call('HGETALL', key)
    for i = 1, #flat, 2 do
        local worker = string.match(flat[i], '^w:(.*)$')
        if worker then
            local permits, want, since, told = string.match(flat[i + 1], '^(%S+) (%S+) (%S+) (%S+)$')
            local entry = {worker = worker, permits = number(permits), want = number(want), since = number(since), told = told}
            if worker == me then mine = entry else
                found[#found + 1] = entry
                names[#names + 1] = worker
            end
        elseif KNOWN[flat[i]] then
            state[flat[i]] = string.sub(flat[i + 1], 1, 200)
        else
            call('HDEL', key, flat[i])
        end
    end
    local living = alive(names)
    for _, entry in ipairs(found) do
        if living[entry.worker] then others[#others + 1] = entry else call('HDEL', key, 'w:' .. entry.worker) end
    end
    return state, others, mine
end

local function put(key, entry)
    call('HSET', key, 'w:' .. entry.worker,
        entry.permits .. ' ' .. entry.want .. ' ' .. text(entry.since) .. ' ' .. entry.told)
end

local function senior(a, b)
    if a.since ~= b.since then return a.since < b.since end
    return a.worker < b.worker
end

