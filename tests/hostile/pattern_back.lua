-- back references to long captures; expect: error instruction budget used up
local function attack()
    return ("a"):rep(50000):find("(a*)(a*)%1%2b")
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
