-- recursion through pcall; expect: error deeper
local function attack()
    local function f() pcall(f) error("deeper") end
    f()
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
