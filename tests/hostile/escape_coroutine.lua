-- a way out through coroutine; expect: error undefined variable 'coroutine'
local function attack()
    return coroutine.wrap(function() while true do end end)()
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
