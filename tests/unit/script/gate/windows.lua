-- conf/routing.lua
local windows = require "gate.windows"

local office = windows.between("09:00", "18:00", "Europe/Berlin", "mon-fri")

local function route(_req)
    return office() and "open" or "closed"
end

return route
--> model=m at=2026-11-23T07:59Z => closed
--> model=m at=2026-11-23T08:00Z => open
--> model=m at=2026-11-23T16:59Z => open
--> model=m at=2026-11-23T17:00Z => closed
--> model=m at=2026-11-22T10:00Z => closed
--> model=m at=2026-07-20T07:00Z => open
--> model=m at=2026-07-20T16:00Z => closed
----
-- conf/routing.lua
local windows = require "gate.windows"

local office = windows.between("09:00", "18:00", "+01:00", "mon-fri")
local night = windows.between("22:00", "06:00")
local friday_night = windows.between("22:00", "06:00", "UTC", "fri")
local day = windows.between("00:00", "24:00", "UTC", "sat,sun")
local weekend = windows.weekdays("sat, sun")
local around = windows.weekdays("Sat-Mon", "+08:00")

local NAMES = { office = office, night = night, friday = friday_night, day = day, weekend = weekend,
    around = around, any = windows.any(office, night), all = windows.all(night, weekend),
    outside = windows.outside(office) }

local function route(req)
    return NAMES[req.model]() and "open" or "closed"
end

return route
--> model=night at=2026-11-23T21:59Z => closed
--> model=night at=2026-11-23T22:00Z => open
--> model=night at=2026-11-24T00:00Z => open
--> model=night at=2026-11-24T05:59Z => open
--> model=night at=2026-11-24T06:00Z => closed
--> model=friday at=2026-11-27T23:00Z => open
--> model=friday at=2026-11-28T05:00Z => open
--> model=friday at=2026-11-28T23:00Z => closed
--> model=friday at=2026-11-27T05:00Z => closed
--> model=friday at=2026-11-27T12:00Z => closed
--> model=day at=2026-11-28T00:00Z => open
--> model=day at=2026-11-29T23:59Z => open
--> model=day at=2026-11-30T00:00Z => closed
--> model=weekend at=2026-11-28T12:00Z => open
--> model=weekend at=2026-11-27T23:59Z => closed
--> model=around at=2026-11-27T16:00Z => open
--> model=around at=2026-11-27T15:59Z => closed
--> model=around at=2026-11-30T15:59Z => open
--> model=around at=2026-11-30T16:00Z => closed
--> model=any at=2026-11-23T23:00Z => open
--> model=any at=2026-11-23T10:00Z => open
--> model=any at=2026-11-23T20:00Z => closed
--> model=all at=2026-11-28T23:00Z => open
--> model=all at=2026-11-27T23:00Z => closed
--> model=outside at=2026-11-23T10:00Z => closed
--> model=outside at=2026-11-23T20:00Z => open
----
-- conf/routing.lua
local windows = require "gate.windows"
local monday = windows.between("22:00", "06:00", "UTC", "sun")
return function()
    return monday() and "open" or "closed"
end
--> model=m at=2026-11-23T01:00Z => open
--> model=m at=2026-11-24T01:00Z => closed
----
-- conf/routing.lua
local windows = require "gate.windows"
local made = windows.between("9:00", "18:00")
return made
--> file => error: routing.lua:3: windows.between: it begins at 9:00, expected a time from 00:00 to 23:59
----
-- conf/routing.lua
local windows = require "gate.windows"
local made = windows.between("24:00", "18:00")
return made
--> file => error: routing.lua:3: windows.between: it begins at 24:00, expected a time from 00:00 to 23:59
----
-- conf/routing.lua
local windows = require "gate.windows"
local made = windows.between("09:00", "18:60")
return made
--> file => error: routing.lua:3: windows.between: it ends at 18:60, expected a time from 00:00 to 24:00
----
-- conf/routing.lua
local windows = require "gate.windows"
local made = windows.between("09:00", 18)
return made
--> file => error: routing.lua:3: windows.between: it ends at 18, expected a time from 00:00 to 24:00
----
-- conf/routing.lua
local windows = require "gate.windows"
local made = windows.between("09:00", "24:01")
return made
--> file => error: routing.lua:3: windows.between: it ends at 24:01, expected a time from 00:00 to 24:00
----
-- conf/routing.lua
local windows = require "gate.windows"
local made = windows.between("09:00", "09:00")
return made
--> file => error: routing.lua:3: windows.between: it ends when it begins; a whole day is from 00:00 to 24:00
----
-- conf/routing.lua
local windows = require "gate.windows"
local made = windows.between("09:00", "18:00", "UTC", "mon-fry")
return made
--> file => error: routing.lua:3: windows.between: the days are mon-fry, expected days like "mon-fri" or "sat,sun"
----
-- conf/routing.lua
local windows = require "gate.windows"
local made = windows.weekdays("")
return made
--> file => error: routing.lua:3: windows.weekdays: the days are , expected days like "mon-fri" or "sat,sun"
----
-- conf/routing.lua
local windows = require "gate.windows"
local made = windows.weekdays("mon,,tue")
return made
--> file => error: routing.lua:3: windows.weekdays: the days are mon,,tue, expected days like "mon-fri" or "sat,sun"
----
-- conf/routing.lua
local windows = require "gate.windows"
local made = windows.any()
return made
--> file => error: routing.lua:3: windows.any: no window is given
----
-- conf/routing.lua
local windows = require "gate.windows"
local made = windows.all(windows.weekdays("mon"), "tue")
return made
--> file => error: routing.lua:3: windows.all: window 2 is a string, expected a window
----
-- conf/routing.lua
local windows = require "gate.windows"
local made = windows.outside("tue")
return made
--> file => error: routing.lua:3: windows.outside: it is a string, expected a window
----
-- conf/routing.lua
local windows = require "gate.windows"
return function()
    return windows.between("09:00", "18:00") and "open" or nil
end
--> model=m => error: routing.lua:4: windows.between makes a function for requests: call it at the top of the file, outside of functions, and call there what it made
----
-- conf/routing.lua
local windows = require "gate.windows"
local made = windows.between("09:00", "18:00", "Berlin time")
return made
--> file => error: routing.lua:3: windows.between: "Berlin time" is no time zone: write "UTC", a name like "Europe/Berlin", or an offset like "+08:00"
----
-- conf/routing.lua
local windows = require "gate.windows"
local made = windows.weekdays("mon", 8)
return made
--> file => error: routing.lua:3: windows.weekdays: the zone is a number, expected one like "Europe/Berlin"
