-- an answer that contains itself; expect: error unknown key
local function attack()
    local t = { model = "fine" }
    t.self = t
    return t
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
