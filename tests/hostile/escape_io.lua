-- a way out through io; expect: error undefined variable 'io'
local function attack()
    return io.open("/etc/passwd")
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
