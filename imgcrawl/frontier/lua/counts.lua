-- What a page has counted counts when the page is done, in one step with that: see verdict.lua.
local settled, acknowledged = {}, {} -- of all pages that end now; of those that are done, what was told of before
local function is_told(name) -- counted.py: _SHOWN
    return string.find(name, '^image/') or string.find(name, '^gallery/count') or string.find(name, '^gallery/empty')
        or string.find(name, '^gallery/failed') or name == 'item_scraped_count'
end
local function add_counts(sums, counts, sign, is_wanted)
    for name, number in string.gmatch(counts, '([^\n]+)\n(%d+)\n') do
        if not is_wanted or is_wanted(name) then sums[name] = (sums[name] or 0) + sign * whole(number) end
    end
end
local function settle(counts) add_counts(settled, counts, 1) end
local function settle_done(counts)
    settle(counts)
    add_counts(acknowledged, counts, 1, is_told)
end
local function take_back(counts, is_wanted) add_counts(settled, counts, -1, is_wanted) end
local function save_settled(worker)
    local stats = prefix .. 'stats:' .. (run.id or '')
    for name, number in pairs(settled) do
        local sum = redis.pcall('HINCRBY', stats, name, text(number))
        if type(sum) == 'table' and sum.err then
            if redis.call('TYPE', stats).ok ~= 'hash' then redis.call('UNLINK', stats) end -- not ours
            redis.pcall('HSET', stats, name, text(math.max(0, number)))
        elseif sum <= 0 then
            redis.call('HDEL', stats, name)
        end
    end
    if next(settled) then redis.call('EXPIRE', stats, 2592000) end -- verdict.py: KEPT
    if not next(acknowledged) then return end
    local key = stats .. ':acknowledged'
    local mine = redis.pcall('HGET', key, worker)
    if type(mine) == 'table' then redis.call('UNLINK', key) end -- of another kind: not ours
    add_counts(acknowledged, type(mine) == 'string' and #mine <= 65536 and mine or '', 1)
    local parts = {}
    for name, number in pairs(acknowledged) do parts[#parts + 1] = name .. '\n' .. text(number) .. '\n' end
    redis.call('HSET', key, worker, table.concat(parts))
    redis.call('EXPIRE', key, 2592000)
end
