-- What start() gives. Workers may read different lists in it: each list is read to its end once in a run, also in one that
-- was done without it. A list is known by a fingerprint among those that were seen, and, as the last worker to leave
-- forgets these, the last of them in the run; '' is none.
local LISTS = 1200 -- bytes: of a hundred lists
local function is_read(list) return is_seen(list) or string.find(run.lists or '', list, 1, true) ~= nil end

-- start() of a worker has come to its end, or to an *error*; it has counted *counts*.
local function seeded(list, error, counts)
    if run.seeded ~= '1' then settle(counts) end
    set('seeded', '1')
    if (run.error or '') == '' then set('error', error) end
    if list == '' or error ~= '' then return end
    remember(list)
    is_queued_now()
    if not string.find(run.lists or '', list, 1, true) then set('lists', string.sub((run.lists or '') .. list, -LISTS)) end
    set('seeder', '') -- who has another list is next
    set('seedings', '0')
    count('turn', 1)
    fresh = fresh + 1000
end
local function look_for_list(list)
    if list == '' or (run.error or '') ~= '' then return end
    if not is_read(list) then
        if run.seeded == '1' then set('seeded', '') end
        if run.state == 'done' then set('state', 'running') end
    elseif run.seeded ~= '1' and not is_alive(run.seeder) then
        set('seeded', '1') -- who has another one is gone, or says so again
    end
end
