-- a way out through dofile; expect: error undefined variable 'dofile'
local function attack()
    return dofile("/etc/passwd")
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
