-- an endless loop of method calls; expect: error instruction budget used up
local function attack()
    local s = "abc"
    while true do s:upper():lower():len() end
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
