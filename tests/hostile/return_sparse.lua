-- an answer with holes; expect: error a list with
local function attack()
    return { [1] = "fine", [1 << 40] = "fine" }
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
