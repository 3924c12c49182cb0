-- an answer with a hundred thousand targets; expect: error more than 8 targets
local function attack()
    local t = {}
    for i = 1, 9000 do t[i] = "fine" end
    return t
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
