-- an __lt in table.sort that sorts again; expect: error C stack overflow
local function attack()
    local m = {}
    local function list() return { setmetatable({}, m), setmetatable({}, m) } end
    m.__lt = function() table.sort(list()) return true end
    table.sort(list())
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
