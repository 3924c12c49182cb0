-- a gsub callback that loops; expect: error instruction budget used up
local function attack()
    return ("x"):rep(100):gsub("x", function() while true do end end)
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
