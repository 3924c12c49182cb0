-- table.concat at the end of the integers; expect: answer
local function attack()
    local t = { [math.maxinteger] = "fine" }
    return table.concat(t, "", math.maxinteger, math.maxinteger)
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
