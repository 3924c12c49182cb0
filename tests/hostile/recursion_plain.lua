-- recursion without end; expect: error stack overflow | instruction budget used up
local function attack()
    local function f() return 1 + f() end
    return f()
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
