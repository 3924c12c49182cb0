-- an __lt that loops; expect: error instruction budget used up
local function attack()
    local m = { __lt = function() while true do end end }
    return setmetatable({}, m) < setmetatable({}, m)
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
