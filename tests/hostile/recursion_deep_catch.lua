-- a deep stack that is caught at every level; expect: error instruction budget used up | stack overflow
local function attack()
    local function f(n) local ok = pcall(f, n + 1) return ok end
    while true do f(1) end
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
