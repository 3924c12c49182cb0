-- table.unpack of a hundred million; expect: error instruction budget used up
local function attack()
    return select("#", table.unpack({}, 1, 1e8))
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
