-- require with a path; expect: error not a module name
local function attack()
    return require "../../conf/models"
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
