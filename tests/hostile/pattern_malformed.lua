-- malformed patterns; expect: error malformed pattern
local function attack()
    pcall(string.find, "x", "%")
    pcall(string.gsub, "x", "(", "")
    return ("x"):find("[a")
end

return function(req)
    if req.model == "evil" then
        return attack()
    end
    return "fine"
end
