-- What the answers of a host say about how it wants to be asked. The same rules as in local.py.

-- What was read is no more than what could have been written.
local function check_state(state, ask)
    for _, name in ipairs({'last', 'paced', 'slowed', 'slowed_at', 'eased_at', 'blocked', 'epoch', 'doubts', 'troubles'}) do
        state[name] = number(state[name])
    end
    local longest = max(ask.longest, ask.delay, ask.floor)
    state.paced, state.slowed = min(state.paced, longest), min(state.slowed, longest)
    state.slowed_at, state.eased_at = min(state.slowed_at, now), min(state.eased_at, now)
    state.blocked = min(state.blocked, now + MAX_BLOCK)
    state.epoch, state.doubts, state.troubles = floor(state.epoch), floor(state.doubts), floor(state.troubles)
end

-- What answers say about the delay.
local function pace(state, ask)
    if ask.target > 0 and not state.known then state.paced = min(max(ask.delay, ask.first), ask.longest) end
    state.known = '1'
    local slower = max(ask.delay, ask.floor, state.paced, state.slowed)
    if ask.target > 0 and ask.answers > 0 then
        local wanted = ask.latency / ask.target
        if wanted < state.paced then wanted = wanted + (state.paced - wanted) / 2 ^ min(ask.answers, 50) end
        state.paced = min(max(ask.delay, wanted), ask.longest)
    end
    state.troubles = max(0, state.troubles - FORGIVEN * ask.answers)
    if ask.trouble and now - ask.trouble >= state.slowed_at then
        local current = max(ask.delay, ask.floor, state.paced, state.slowed)
        state.troubles = state.troubles + 1
        local most = ask.longest
        if ask.trouble > 0 and string.sub(ask.why, 1, 3) ~= '429' then
            local wide = MOST_LATENCIES * 2 ^ min(50, state.troubles / WIDENED)
            most = min(most, max(FIRST_DELAY, wide * ask.trouble))
        end
        state.slowed = min(max(2 * current, FIRST_DELAY), max(most, current))
        state.slowed_at, state.eased_at, state.last = now, now, now
        state.epoch = state.epoch + 1
        state.why, state.by, state.at = ask.why, me, text(now)
    elseif ask.answers > 0 and state.slowed > 0 then
        local rate = 1 / state.slowed + ask.speedup * min(MAX_RECOVERY, now - state.eased_at)
        state.eased_at = now
        state.slowed = 1 / rate
        if state.slowed <= max(FULL_SPEED, ask.delay, state.paced) then state.slowed = 0 end
    end
    local gap = max(ask.delay, ask.floor, state.paced, state.slowed) * ask.factor
    slower = slower * ask.factor
    local furthest = max(now, state.blocked) + FURTHEST + 2 * workers * max(gap, slower)
    if state.last > furthest or (gap < slower and state.last > max(now, state.blocked) + HORIZON + 2 * workers * gap) then
        state.last = now + HORIZON
        state.epoch = state.epoch + 1
    end
end

-- What answers say about being left alone.
local function block(state, ask)
    state.doubts = (ask.answers > 0 and 0 or state.doubts) + ask.doubts
    local seconds = ask.block
    if ask.doubts > 0 and state.doubts >= DOUBTS then seconds = max(seconds, ask.doubted) end
    seconds = min(seconds, MAX_BLOCK)
    if seconds > 0 and now + seconds > state.blocked + SAME_BLOCK then
        state.blocked = now + seconds
        state.epoch = state.epoch + 1
        state.why, state.by, state.at = ask.why, me, text(now)
    end
end

