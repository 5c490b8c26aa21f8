-- A clock that goes forward only, and no faster than its callers can notice, whatever the server's own does: that may be
-- set back or ahead by an hour, or be another server's after a failover. *key* holds "<our milliseconds> <the server's
-- then>"; between two calls at most *longest* milliseconds go by. Returns ours and the server's, which is for people,
-- and how long nobody has called, by the server's.
local function tick(key, longest)
    local time = redis.call('TIME')
    local wall = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
    local clock, before = string.match(redis.call('GET', key) or '', '^(%d+) (%d+)$')
    local silent = math.max(0, wall - tonumber(before or wall))
    clock = tonumber(clock or wall) + math.min(longest, silent)
    redis.call('SET', key, string.format('%.0f %.0f', clock, wall))
    return clock, wall, silent
end
