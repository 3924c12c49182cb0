-- the table behind the strings through rawget; expect: error table expected
local function attack()
    rawget(getmetatable(""), "__index").find = nil
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
