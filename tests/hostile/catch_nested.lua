-- pcall inside pcall inside pcall; expect: error instruction budget used up
local function attack()
    local function nest(depth)
        while true do
            if depth > 0 then pcall(nest, depth - 1) end
        end
    end
    nest(50)
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
