-- What the workers of a spider say, for whoever looks. What is too long to be ours stays where it is: it is others' who
-- have the server, too.
--
-- KEYS[1]  hash <prefix>live; publish.lua says what is beside it
-- ARGV     how many workers, images, failures at the most, bytes of one at the most
-- -> the server's milliseconds; of each worker its name, when it last said something, what it says; images; failures;
--    the control: run, paused, delay_factor, stop
local live, longest = KEYS[1], tonumber(ARGV[4])
local time = redis.call('TIME')

local function found(most, command, key, ...)
    local values = most < 1 and {} or redis.pcall(command, key, 0, most - 1, ...)
    return values.err and {} or values -- a key of another type
end

local function short(most, key)
    local kept, values = {}, found(tonumber(most), 'LRANGE', live .. key)
    for _, value in ipairs(values) do
        if #value <= longest then kept[#kept + 1] = value end
    end
    return kept
end

local workers, names = {}, found(tonumber(ARGV[1]), 'ZREVRANGE', live .. ':at', 'WITHSCORES')
for i = 1, #names, 2 do
    local length = redis.pcall('HSTRLEN', live, names[i])
    if type(length) == 'number' and 0 < length and length + #names[i] <= longest then
        workers[#workers + 1] = {names[i], names[i + 1], redis.call('HGET', live, names[i])}
    end
end
local control = redis.pcall('HMGET', live .. ':control', 'run', 'paused', 'delay_factor', 'stop')
control = control.err and {} or control
for i = 1, 4 do control[i] = control[i] and #control[i] <= 100 and control[i] end
return {
    string.format('%.0f', tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)), workers,
    short(ARGV[2], ':newest'), short(ARGV[3], ':failures'), control,
}
