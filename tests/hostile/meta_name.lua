-- a __name that is a huge string; expect: error instruction budget used up | bad argument
local function attack()
    return string.rep(setmetatable({}, { __name = ('n'):rep(100000) }))
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
