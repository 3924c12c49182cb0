-- string.rep of nothing for ever; expect: answer
local function attack()
    assert((""):rep(math.maxinteger) == "")
    return "fine"
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
