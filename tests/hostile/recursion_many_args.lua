-- calls with 200,000 arguments; expect: error instruction budget used up | memory limit
local function attack()
    local function f(...) while true do select("#", ...) end end
    f(table.unpack({}, 1, 90000))
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
