-- What was seen: a hash table of small hashes, which Redis stores without overhead; it grows by splitting one
-- hash in two (linear hashing).
local seen
local function load_seen()
    if seen then return end
    seen = {g = 0, n = 1, count = 0, power = 1}
    local flat = redis.call('HMGET', SEEN, 'generation', 'hashes', 'count')
    seen.g, seen.n, seen.count = whole(flat[1]), math.max(1, whole(flat[2])), whole(flat[3])
    while seen.power * 2 <= seen.n do seen.power = seen.power * 2 end
end
local function save_seen()
    if seen and seen.changed then
        redis.call('HSET', SEEN, 'generation', text(seen.g), 'hashes', text(seen.n), 'count', text(seen.count))
    end
end
local function number_of(fingerprint)
    local a, b, c, d = string.byte(fingerprint, 1, 4)
    return d and ((a * 256 + b) * 256 + c) * 256 + d or 0
end
local function hash_name(i) return SEEN .. ':' .. text(seen.g) .. ':' .. text(i) end
local function hash_of(fingerprint)
    load_seen()
    local h = number_of(fingerprint)
    local i = h % (2 * seen.power)
    if i >= seen.n then i = h % seen.power end
    return hash_name(i)
end
local function split()
    local from, to = hash_name(seen.n - seen.power), hash_name(seen.n)
    local all = call('HKEYS', from)
    local moving, pairs_ = {}, {}
    for _, fingerprint in ipairs(all) do
        if #fingerprint ~= 12 then
            call('HDEL', from, fingerprint)
            reject('not a fingerprint', fingerprint)
        elseif number_of(fingerprint) % (2 * seen.power) == seen.n then
            moving[#moving + 1] = fingerprint
            pairs_[#pairs_ + 1] = fingerprint
            pairs_[#pairs_ + 1] = ''
        end
        if #moving == 500 or (fingerprint == all[#all] and #moving > 0) then
            call('HSET', to, unpack(pairs_))
            call('HDEL', from, unpack(moving))
            moving, pairs_ = {}, {}
        end
    end
    seen.n = seen.n + 1
    if seen.n == 2 * seen.power then seen.power = seen.n end
end
local function is_seen(fingerprint) return call('HEXISTS', hash_of(fingerprint), fingerprint) == 1 end
local remembered -- what is to be queued next, the name of its hash and its fingerprint: false if it was seen
local function remember(fingerprint)
    local name = hash_of(fingerprint)
    remembered = call('HSETNX', name, fingerprint, '') == 1 and {name, fingerprint}
    if not remembered then return false end
    seen.count = seen.count + 1
    seen.changed = true
    return true
end
local function is_queued_now()
    remembered = nil
    if seen and seen.count > seen.n * BUCKET then split() end
end
local function forget()
    load_seen()
    if seen.count > 0 then redis.call('RPUSH', GARBAGE, text(seen.g) .. ':' .. text(seen.n)) end
    seen = {g = seen.g + 1, n = 1, count = 0, power = 1, changed = true}
end
function fail(what)
    if remembered then -- what is remembered is in the queue
        redis.call('HDEL', unpack(remembered))
        seen.count = seen.count - 1
    end
    save_seen()
    save()
    error('FOREIGN key ' .. what)
end
