-- Takes what outsiders fed: from a list, set or sorted set into a list beside it, in the same hash slot, where it
-- stays until it is queued, as "<NUL><id><NUL><value>". A value of another type is set aside.
--
-- KEYS  the key that is fed, the list beside it;  ARGV  how many at the most, bytes that a value may have
-- -> values not taken for their size or type; ids and values in turns
local from, to, most, max_size = KEYS[1], KEYS[2], tonumber(ARGV[1]), tonumber(ARGV[2])
local foreign = {}
local time, count = redis.call('TIME'), 0
local function labelled(value)
    count = count + 1
    return table.concat({'\0', time[1], '-', time[2], '-', count, '\0', value})
end
local kind = redis.call('TYPE', to).ok
if kind ~= 'none' and kind ~= 'list' then
    redis.call('RENAME', to, to .. ':aside')
    foreign[#foreign + 1] = 'a ' .. kind .. ' in the place of ' .. to
end
kind = redis.call('TYPE', from).ok
if kind == 'list' or kind == 'set' or kind == 'zset' then
    for _ = redis.call('LLEN', to) + 1, most do
        local value
        if kind == 'list' then value = redis.call('LPOP', from)
        elseif kind == 'set' then value = redis.call('SPOP', from)
        else value = redis.call('ZPOPMAX', from)[1] end
        if not value then break end
        redis.call('RPUSH', to, labelled(value))
    end
elseif kind ~= 'none' then
    redis.call('RENAME', from, to .. ':aside')
    foreign[#foreign + 1] = 'a ' .. kind .. ' in the place of ' .. from
end
local taken = {}
for i, element in ipairs(redis.call('LRANGE', to, 0, most - 1)) do
    local id, value = string.match(element, '^%z(%d+%-%d+%-%d+)%z(.*)$')
    if not id then
        element = labelled(element) -- of an earlier release, or not ours
        redis.call('LSET', to, i - 1, element)
        id, value = string.match(element, '^%z(%d+%-%d+%-%d+)%z(.*)$')
    end
    if #value > max_size then
        redis.call('LREM', to, 1, element)
        foreign[#foreign + 1] = #value .. ' bytes: ' .. string.sub(value, 1, 200)
    else
        taken[#taken + 1] = id
        taken[#taken + 1] = value
    end
end
return {foreign, taken}
