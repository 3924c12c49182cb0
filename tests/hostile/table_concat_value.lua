-- table.concat of a table in a table; expect: error element 2 is a table
local function attack()
    return table.concat({ "a", {} })
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
