-- a way out through os; expect: error undefined variable 'os'
local function attack()
    return os.execute("true")
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
