-- recursion through gsub callbacks; expect: error C stack overflow
local function attack()
    local s = "x"
    local function f() return (s:gsub("x", f)) end
    return f()
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
