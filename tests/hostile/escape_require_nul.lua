-- require with a NUL byte; expect: error not a module name
local function attack()
    return require "gate.match\0x"
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
