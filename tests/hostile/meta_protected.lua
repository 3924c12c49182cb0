-- getmetatable of a string; expect: error attempt to index a boolean value
local function attack()
    getmetatable("").__index = function() while true do end end
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
