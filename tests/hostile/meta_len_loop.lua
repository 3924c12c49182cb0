-- a __len that loops; expect: error instruction budget used up
local function attack()
    return #setmetatable({}, { __len = function() while true do end end })
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
