-- What time it is, and who is a worker.

-- The time by a clock of our own, because the server's may jump. A worker that knew the time, by its own count it is
-- *claim* now or a little later, takes it on; the server's clock says how little, as long as it agrees. For one that
-- does not know the time (0), as much has passed since as both the server's clock and its own, *wall*, say; and while
-- others are there, who talk to us once in lease / 6 seconds, no more than that.
local function read_clock(claim, wall)
    local saved = call('HMGET', CLOCK, 'at', 'server', 'wall')
    local time = redis.call('TIME')
    local at, server = number(saved[1]), tonumber(time[1]) + tonumber(time[2]) / 1000000
    local passed = max(0, server - number(saved[2]))
    if claim > 0 then
        now = max(at, claim)
        if at > 0 and at + passed > now and at + passed < now + AGREED then now = at + passed end
    elseif at == 0 then
        now = server
    else
        local by_wall = max(0, wall - number(saved[3]))
        if math.abs(passed - by_wall) > AGREED then passed = min(passed, by_wall) end
        if call('ZCARD', WORKERS) > 0 then passed = min(passed, lease / 6) end
        now = at + passed
    end
    return server
end

local function set_clock(claim, wall)
    local server = read_clock(claim, wall)
    call('HSET', CLOCK, 'at', text(now), 'server', text(server), 'wall', text(wall))
end

local function wake(worker, host)
    local key = WORKERS .. ':wake:' .. worker
    if call('RPUSH', key, host) > 1000 then call('LTRIM', key, -1000, -1) end
    call('EXPIRE', key, ABANDONED)
end

local function drop_worker(worker)
    call('ZREM', WORKERS, worker)
    call('ZREM', RANKS, worker)
    call('UNLINK', WORKERS .. ':wake:' .. worker)
end

-- Returns whether this worker was not known, and its rank.
local function enter(before)
    for _, worker in ipairs(call('ZRANGEBYSCORE', WORKERS, '-inf', text(now), 'LIMIT', 0, 10)) do
        if worker ~= me then drop_worker(worker) end
    end
    local known = call('ZSCORE', WORKERS, me)
    local fresh = not known or number(known) < now
    call('ZADD', WORKERS, text(now + lease), me)
    if fresh then
        -- Each has less to itself from now on, also should it never reach this account again.
        for _, worker in ipairs(call('ZRANGE', WORKERS, 0, HEAR_OF_IT)) do
            if worker ~= me then wake(worker, '') end
        end
        call('ZADD', RANKS, 0, me)
        for _, key in ipairs({WORKERS, RANKS, CLOCK, HOSTS}) do call('EXPIRE', key, 7 * ABANDONED) end
        if before and number(call('HGET', CLOCK, 'settled')) <= now then
            -- This account was lost or could not be reached for long, so others may have more than it knows: nobody
            -- gets more until all have told what they have.
            call('HSET', CLOCK, 'settled', text(now + lease / 3))
        end
    end
    workers = call('ZCARD', WORKERS)
    return fresh, call('ZRANK', RANKS, me) or 0
end

-- When the other that has been silent longest was here.
local function heard()
    local flat = call('ZRANGE', WORKERS, 0, 1, 'WITHSCORES')
    for i = 1, #flat, 2 do
        if flat[i] ~= me then return number(flat[i + 1]) - lease end
    end
    return now + lease
end

