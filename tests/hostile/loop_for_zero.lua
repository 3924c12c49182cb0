-- a numeric for with step 0; expect: error 'for' step is zero
local function attack()
    for _ = 1, 2, 0 do end
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
