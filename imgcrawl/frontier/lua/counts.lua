-- What the items of a page have counted counts when the page is done, in one step with that: see verdict.lua.
local settled = {}
local function settle(counts)
    for name, number in string.gmatch(counts, '([^\n]+)\n(%d+)\n') do settled[name] = (settled[name] or 0) + whole(number) end
end
local function save_settled(worker)
    if not next(settled) then return end
    local stats = prefix .. 'stats:' .. run.id
    local acknowledged = stats .. ':acknowledged'
    for name, number in pairs(settled) do
        local done = redis.pcall('HINCRBY', stats, name, text(number))
        if type(done) == 'table' and done.err then
            if redis.call('TYPE', stats).ok ~= 'hash' then redis.call('UNLINK', stats) end -- not ours
            redis.pcall('HSET', stats, name, text(number))
        end
    end
    local mine = redis.pcall('HGET', acknowledged, worker)
    if type(mine) == 'table' then redis.call('UNLINK', acknowledged) end -- of another kind: not ours
    settle(type(mine) == 'string' and #mine <= 65536 and mine or '')
    local parts = {}
    for name, number in pairs(settled) do parts[#parts + 1] = name .. '\n' .. text(number) .. '\n' end
    redis.call('HSET', acknowledged, worker, table.concat(parts))
    for _, key in ipairs({stats, acknowledged}) do redis.call('EXPIRE', key, 2592000) end -- verdict.py: KEPT
end
