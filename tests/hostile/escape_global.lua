-- a global that would carry data to other requests; expect: error cannot set global 'leak'
local function attack(req)
    leak = req
end

return function(req)
    if req.model == "evil" then
        return attack(req)
    end
    return "fine"
end
