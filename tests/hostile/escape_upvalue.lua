-- a kept request after its call; expect: answer
local kept

local function attack(req)
    local before = kept
    kept = req
    local ok = before == nil or before == req or pcall(function() return before.model end) ~= nil
    return ok and "fine"
end

return function(req)
    if req.model == "evil" then
        return attack(req)
    end
    return "fine"
end
