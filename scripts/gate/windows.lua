-- gate.windows: times of the day and days of the week. Each function makes a window: a function()
-- that is true while it is open. Zones are those of gate.time; none is UTC.
-- local windows = require "gate.windows"

local check = require "gate.check"

local windows = {}

local DAYS = { mon = 1, tue = 2, wed = 3, thu = 4, fri = 5, sat = 6, sun = 7 }
local MINUTES = 24 * 60

-- Minutes since midnight of "09:30"; nil if it is no time of the day.
local function minutes_of(text)
    local hour, minute = tostring(text):match("^(%d%d):(%d%d)$")
    local all = hour and hour * 60 + minute
    return all and minute + 0 < 60 and all <= MINUTES and all or nil
end

-- The set of days of "mon-fri", "sat,sun" or "fri-mon"; nil if it is none.
local function days_of(text)
    local set = {}
    if type(text) ~= "string" or text == "" then
        return nil
    end
    for part in (text:lower() .. ","):gmatch("([^,]*),") do
        local first, last = part:match("^%s*(%a+)%s*%-%s*(%a+)%s*$")
        first = first or part:match("^%s*(%a+)%s*$")
        local day, stop = DAYS[first or ""], DAYS[last or first or ""]
        if not day or not stop then
            return nil
        end
        while day ~= stop do
            set[day] = true
            day = day % 7 + 1
        end
        set[stop] = true
    end
    return set
end

-- What is wrong with a zone; nil: nothing.
local function wrong_zone(zone)
    if zone ~= nil and type(zone) ~= "string" then
        return ("the zone is a %s, expected one like \"Europe/Berlin\""):format(type(zone))
    end
    local ok, why = pcall(gate.time, zone)
    return not ok and tostring(why):gsub("^gate%.time: ", "") or nil
end

-- A window from `from` to just before `to`, both "HH:MM"; one that ends before it begins goes over
-- midnight. `days` (optional): only windows that begin on these days, as windows.weekdays has them.
function windows.between(from, to, zone, days)
    check.loading("windows.between")
    local first, last, set = minutes_of(from), minutes_of(to), nil
    check.that(first and first < MINUTES, 0,
        "windows.between: it begins at %s, expected a time from 00:00 to 23:59", tostring(from))
    check.that(last, 0, "windows.between: it ends at %s, expected a time from 00:00 to 24:00",
        tostring(to))
    check.that(first ~= last, 0,
        "windows.between: it ends when it begins; a whole day is from 00:00 to 24:00")
    local why = wrong_zone(zone)
    check.that(not why, 0, "windows.between: %s", why)
    if days ~= nil then
        set = days_of(days)
        check.that(set, 0, "windows.between: the days are %s, expected days like \"mon-fri\" or "
            .. "\"sat,sun\"", tostring(days))
    end
    return function()
        local now = gate.time(zone)
        local minute, day = now.minute, now.wday
        if first < last then
            return minute >= first and minute < last and (not set or set[day] == true)
        elseif minute < last then
            day = (day + 5) % 7 + 1 -- it began yesterday
        elseif minute < first then
            return false
        end
        return not set or set[day] == true
    end
end

-- A window that is open on certain days: "mon-fri", "sat,sun", "fri-mon".
function windows.weekdays(days, zone)
    check.loading("windows.weekdays")
    local set = days_of(days)
    check.that(set, 0, "windows.weekdays: the days are %s, expected days like \"mon-fri\" or "
        .. "\"sat,sun\"", tostring(days))
    local why = wrong_zone(zone)
    check.that(not why, 0, "windows.weekdays: %s", why)
    return function()
        return set[gate.time(zone).wday] == true
    end
end

-- The windows in a list, all of which must be functions.
local function check_windows(name, ...)
    local list = table.pack(...)
    check.that(list.n > 0, 1, "%s: no window is given", name)
    for i = 1, list.n do
        check.that(type(list[i]) == "function", 1, "%s: window %d is a %s, expected a window", name,
            i, type(list[i]))
    end
    return list
end

-- A window that is open while any of the given ones is.
function windows.any(...)
    check.loading("windows.any")
    local list = check_windows("windows.any", ...)
    return function()
        for i = 1, list.n do
            if list[i]() then
                return true
            end
        end
        return false
    end
end

-- A window that is open while all of the given ones are.
function windows.all(...)
    check.loading("windows.all")
    local list = check_windows("windows.all", ...)
    return function()
        for i = 1, list.n do
            if not list[i]() then
                return false
            end
        end
        return true
    end
end

-- A window that is open while the given one is not.
function windows.outside(window)
    check.loading("windows.outside")
    check.that(type(window) == "function", 0,
        "windows.outside: it is a %s, expected a window", type(window))
    return function()
        return not window()
    end
end

return windows
