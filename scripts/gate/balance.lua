-- gate.balance: spreads requests over the accounts of a provider (for `select` of accounts.lua) and
-- over targets (for route). local balance = require "gate.balance"

local check = require "gate.check"

local balance = {}

local KEPT = 64 -- accounts that select may name
local SORTED = 16 -- of these are in order when there are more accounts
local LOOKED = 500 -- accounts that one call looks at, so that its budget suffices
local POINTS = 1000000 -- of the hash of a key

local ACCOUNT_FIELDS = {
    in_flight = true, latency_ms = true, requests_minute = true, requests_day = true,
    tokens_minute = true, tokens_day = true, resets_in_ms = true,
}
local PROVIDER_FIELDS = {
    in_flight = true, latency_ms = true, requests_minute = true, requests_day = true,
    tokens_day = true,
}

-- ---- accounts

-- True if a comes before b: the lower rank, then fewer running requests, then fewer of today, then
-- the one that was offered earlier.
local function is_before(a, b)
    if a.rank ~= b.rank then
        return a.rank < b.rank
    elseif a.busy ~= b.busy then
        return a.busy < b.busy
    elseif a.used ~= b.used then
        return a.used < b.used
    end
    return a.place < b.place
end

-- The same for an account at a place whose rank is not above that of b.
local function beats(account, rank, place, b)
    if rank ~= b.rank then
        return true
    end
    local busy = account.in_flight
    if busy ~= b.busy then
        return busy < b.busy
    end
    local used = account.requests_day
    if used ~= b.used then
        return used < b.used
    end
    return place < b.place
end

-- A step that visits all of n places, and neighbours long after each other: accounts that are
-- offered from the worst to the best are no more work than others.
local function step_of(n)
    local step = n * 618 // 1000
    while true do
        local a, b = n, step
        while b > 0 do
            a, b = b, a % b
        end
        if a == 1 then
            return step
        end
        step = step + 1
    end
end

-- The best `most` of the accounts in the order of rank(account), as tables with `place`.
local function best_of(accounts, count, rank, most)
    local list, kept, worst, place, step = {}, 0, nil, 0, step_of(count)
    if count > LOOKED then
        place = gate.random(count) -- others each time
    end
    for _ = 1, math.min(count, LOOKED) do
        place = (place + step) % count
        local account = accounts[place + 1]
        local r = rank(account)
        if kept < most or (r <= worst.rank and beats(account, r, place + 1, worst)) then
            local one = {
                rank = r, busy = account.in_flight, used = account.requests_day, place = place + 1,
            }
            local at = kept + 1
            while at > 1 and is_before(one, list[at - 1]) do
                list[at] = list[at - 1]
                at = at - 1
            end
            list[at] = one
            if kept < most then
                kept = kept + 1
            else
                list[most + 1] = nil
            end
            worst = list[kept]
        end
    end
    return list
end

-- The accounts in the order of rank(account). Of more than select may name, only the best are in
-- order, and others behind them.
local function order(accounts, rank)
    local count = #accounts
    local best = best_of(accounts, count, rank, count <= KEPT and KEPT or SORTED)
    local list, has = {}, {}
    for i, one in ipairs(best) do
        list[i] = accounts[one.place]
        has[one.place] = true
    end
    for i = 1, math.min(count, KEPT) do
        if #list == KEPT then
            break
        elseif not has[i] then
            list[#list + 1] = accounts[i]
        end
    end
    return list
end

-- Makes a select that asks the account with the least of a field first: in_flight, latency_ms (one
-- that is not known yet counts as 0), requests_minute, requests_day, tokens_minute, tokens_day or
-- resets_in_ms.
function balance.least(field)
    check.loading("balance.least")
    check.that(ACCOUNT_FIELDS[field or 0], 0, "balance.least: no field %s, expected one of %s",
        tostring(field), check.names(ACCOUNT_FIELDS))
    local function rank(a)
        return a[field] or 0
    end
    return function(accounts)
        return order(accounts, rank)
    end
end

-- Makes a select that asks the account first that has most requests ("requests", which is what
-- nothing means, too) or tokens ("tokens") left of its day; no limit is most.
function balance.most_left(of)
    check.loading("balance.most_left")
    of = of or "requests"
    check.that(of == "requests" or of == "tokens", 0,
        "balance.most_left: no count of %s, expected requests or tokens", tostring(of))
    local limit, used = "rpd", "requests_day"
    if of == "tokens" then
        limit, used = "tpd", "tokens_day"
    end
    local function rank(a)
        local most = a.limits[limit]
        return most == 0 and -math.huge or a[used] - most
    end
    return function(accounts)
        return order(accounts, rank)
    end
end

-- Makes a select that asks accounts with the first tag first, then those with the second, and those
-- with none of them last.
function balance.prefer_tag(...)
    check.loading("balance.prefer_tag")
    local tags = table.pack(...)
    check.that(tags.n >= 1, 0, "balance.prefer_tag: no tag is given")
    for i = 1, tags.n do
        check.that(type(tags[i]) == "string", 0,
            "balance.prefer_tag: tag %d is a %s, expected a string", i, type(tags[i]))
    end
    local function rank(a)
        for i = 1, tags.n do
            if a:has_tag(tags[i]) then
                return i
            end
        end
        return tags.n + 1
    end
    return function(accounts)
        return order(accounts, rank)
    end
end

-- ---- targets

-- Makes a function() that gives all targets, the one whose provider has the least of a field first:
-- in_flight, latency_ms, requests_minute, requests_day or tokens_day of gate.provider. Providers
-- with no account that serves come last. A target must name its provider ("qwen/qwen-plus").
function balance.targets(list, field)
    check.loading("balance.targets")
    local targets = check.targets("balance.targets", list)
    check.that(PROVIDER_FIELDS[field or 0], 0, "balance.targets: no field %s, expected one of %s",
        tostring(field), check.names(PROVIDER_FIELDS))
    for i, target in ipairs(targets) do
        check.that(check.provider(target), 0, "balance.targets: target %d names no provider: write "
            .. "\"provider/%s\"", i, check.target_name(target))
    end
    local function rank(target)
        local provider = gate.provider(check.provider(target))
        if not provider or provider.serving == 0 then
            return math.huge
        end
        return provider[field] or 0
    end
    return function()
        local sorted, ranks = {}, {}
        for i, target in ipairs(targets) do
            local r, place = rank(target), i
            while place > 1 and r < ranks[place - 1] do
                place = place - 1
            end
            table.insert(sorted, place, target)
            table.insert(ranks, place, r)
        end
        return sorted
    end
end

-- Makes a function(key) that gives all targets, first one that is drawn in proportion to the
-- weights (each the same without them), then the others in the order of the list. The same key
-- always draws the same target; without a key, or with an empty one, it is left to chance.
function balance.spread(list, weights)
    check.loading("balance.spread")
    local targets = check.targets("balance.spread", list)
    local limits, sum = {}, 0
    check.that(weights == nil or type(weights) == "table" and #weights == #targets, 0,
        "balance.spread: expected a list of %d weights, one for each target", #targets)
    for i = 1, #targets do
        local weight = weights and weights[i] or 1
        check.that(check.number(weight, 0, 1e9), 0,
            "balance.spread: weight %d is %s, expected a number from 0 to 1e9", i,
            tostring(weight))
        sum = sum + weight
        limits[i] = sum
    end
    check.that(sum > 0, 0, "balance.spread: all weights are 0")
    return function(key)
        local point
        if key and key ~= "" then
            point = gate.hash(key) % POINTS / POINTS
        else
            point = gate.random()
        end
        local drawn = 1
        while point * sum >= limits[drawn] do
            drawn = drawn + 1
        end
        local all = { targets[drawn] }
        for i = 1, #targets do
            if i ~= drawn then
                all[#all + 1] = targets[i]
            end
        end
        return all
    end
end

return balance
