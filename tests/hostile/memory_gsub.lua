-- gsub that multiplies; expect: error instruction budget used up | memory limit
local function attack()
    return ("x"):rep(1e5):gsub("", ("y"):rep(1e5))
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
