-- an error message that looks like another place; expect: error passwd.lua:1: forged
local function attack()
    error("/etc/passwd.lua:1: forged", 0)
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
