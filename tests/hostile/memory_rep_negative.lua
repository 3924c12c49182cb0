-- string.rep with negative and odd counts; expect: answer
local function attack()
    assert(("x"):rep(-1) == "" and ("x"):rep(math.mininteger) == "")
    return "fine"
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
