-- a handler that calls xpcall with itself; expect: error instruction budget used up | error in error handling | C stack overflow
local function attack()
    local function handler()
        xpcall(error, handler)
        xpcall(error, handler)
    end
    while true do xpcall(error, handler) end
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
