-- recursion through comparators; expect: error C stack overflow
local function attack()
    local function f() table.sort({ 3, 1, 2 }, f) return true end
    table.sort({ 3, 1, 2 }, f)
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
