-- next with a key that is not there; expect: error invalid key to 'next'
local function attack()
    return next({ a = 1 }, "zz")
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
