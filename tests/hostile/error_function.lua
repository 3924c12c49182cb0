-- an error that is a function; expect: error error value is a function
local function attack()
    local function f() error(f) end
    f()
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
