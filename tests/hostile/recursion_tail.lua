-- tail calls without end; expect: error instruction budget used up
local function attack()
    local function f() return f() end
    return f()
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
