-- utf8.codes over bytes that continue nothing; expect: answer
local long = "a" .. ("\x80"):rep(100000)

local function attack()
    for _ in utf8.codes(long) do end
    return "fine"
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
