-- a tree of pcalls; expect: error instruction budget used up
local function attack()
    local function f() pcall(f) pcall(f) end
    f()
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
