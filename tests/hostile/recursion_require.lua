-- require in a request; expect: error was not required while the file was loaded
local function attack()
    return require "gate.late"
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
