-- a way out through package; expect: error undefined variable 'package'
local function attack()
    return package.loadlib("libc.so.6", "system")
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
