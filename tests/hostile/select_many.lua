-- select with very many arguments; expect: error instruction budget used up
local function attack()
    local function f(...) while true do select(-1, ...) end end
    f(table.unpack({}, 1, 20000))
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
