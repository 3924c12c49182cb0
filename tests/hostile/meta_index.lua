-- an __index that never answers; expect: error instruction budget used up
local function attack()
    local t = setmetatable({}, { __index = function() while true do end end })
    return t.model
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
