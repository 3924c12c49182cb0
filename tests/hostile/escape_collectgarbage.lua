-- a way out through collectgarbage; expect: error undefined variable 'collectgarbage'
local function attack()
    return collectgarbage("stop")
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
