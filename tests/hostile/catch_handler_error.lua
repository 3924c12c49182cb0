-- a handler that raises in itself comes to an end; expect: answer
local function attack()
    local ok = xpcall(error, function(m) error(m) end)
    assert(not ok)
    return "fine"
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
