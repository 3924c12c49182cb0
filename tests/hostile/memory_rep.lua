-- string.rep beyond all memory; expect: error too large
local function attack()
    return ("x"):rep(1e10)
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
