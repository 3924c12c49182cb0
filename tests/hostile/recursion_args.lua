-- tail calls that grow their arguments; expect: error instruction budget used up
local function attack()
    local function f(...) return f(1, ...) end
    return f()
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
