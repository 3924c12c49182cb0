-- an endless loop; expect: error instruction budget used up
local function attack()
    while true do end
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
