-- a library function that is replaced; expect: error 'string' is read-only
local function attack()
    string.find = function() return 1 end
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
