-- an error message with control bytes and broken UTF-8; expect: error line
local function attack()
    error("line\0\n\27[2J\xff\xfe\r\nX-Evil: 1")
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
