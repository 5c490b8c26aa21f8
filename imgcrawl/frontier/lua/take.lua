-- Takes what outsiders fed: from a list, set or sorted set into a list beside it, in the same hash slot, where it
-- stays until it is queued. A value of another type is set aside. -> [values not taken for their size or type, values]
local from, to, most, max_size = KEYS[1], KEYS[2], tonumber(ARGV[1]), tonumber(ARGV[2])
local foreign = {}
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
        redis.call('RPUSH', to, value)
    end
elseif kind ~= 'none' then
    redis.call('RENAME', from, to .. ':aside')
    foreign[#foreign + 1] = 'a ' .. kind .. ' in the place of ' .. from
end
local values = {}
for _, value in ipairs(redis.call('LRANGE', to, 0, most - 1)) do
    if #value > max_size then
        redis.call('LREM', to, 1, value)
        foreign[#foreign + 1] = #value .. ' bytes: ' .. string.sub(value, 1, 200)
    else
        values[#values + 1] = value
    end
end
return {foreign, values}
