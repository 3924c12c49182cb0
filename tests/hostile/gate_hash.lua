-- hashes of a long string; expect: error instruction budget used up
local long = ("x"):rep(100000)

local function attack()
    while true do gate.hash(long) end
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
