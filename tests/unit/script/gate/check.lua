-- conf/routing.lua
local check = require "gate.check"

local function one(value)
    check.loading("one")
    check.that(value == 1, 0, "one: %s is not %d", tostring(value), 1)
    return value
end

one(1)

local function route(req)
    local names = { check.names({ b = 1, a = 2 }), tostring(check.number(3, 1, 3)),
        tostring(check.number(4, 1, 3)), tostring(check.number("3", 1)),
        check.target_name({ model = "x" }), tostring(check.target_name {}),
        check.provider("p/m/n"), tostring(check.provider("m")), tostring(check.provider("/m")),
        #check.targets("two", { "a", "b" }), tostring(check.is_served(req.model)) }
    return table.concat(names, " ")
end

return route
--> model=q/m => a, b true false false x nil p nil nil 2 true
--> model=q/m with q/0 => a, b true false false x nil p nil nil 2 true
--> model=q/m with q/0 state=cooling; r/0 => a, b true false false x nil p nil nil 2 false
--> model=m with q/0 state=cooling => a, b true false false x nil p nil nil 2 true
----
-- conf/routing.lua
local check = require "gate.check"

local function one(value)
    check.that(value == 1, 0, "one: %s is not %d", tostring(value), 1)
    return value
end

one(2)
--> file => error: routing.lua:9: one: 2 is not 1
