-- string.format without arguments; expect: error bad argument
local function attack()
    return ("%s"):rep(1000):format()
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
