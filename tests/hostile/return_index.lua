-- an answer that computes its fields; expect: error empty table | without model
local function attack()
    return setmetatable({}, { __index = function() while true do end end })
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
