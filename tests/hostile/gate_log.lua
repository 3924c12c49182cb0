-- log lines without end; expect: error instruction budget used up
local function attack()
    while true do gate.log("debug", ("x"):rep(10000)) end
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
