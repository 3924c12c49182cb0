-- string.rep with a long separator; expect: error too large
local function attack()
    return ("x"):rep(1e9, ("y"):rep(100000))
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
