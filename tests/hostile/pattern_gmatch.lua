-- gmatch that never matches; expect: error instruction budget used up
local function attack()
    for _ in ("a"):rep(100000):gmatch(".-.-b") do end
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
