-- a loop of goto; expect: error instruction budget used up
local function attack()
    ::again::
    goto again
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
