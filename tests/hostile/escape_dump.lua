-- a way out through dump; expect: error field 'dump'
local function attack()
    return string.dump(function() end)
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
