-- A small policy of the usual kind, so that the bench pays for a real decision on each request.
local teams = {
    demo = "echo",
}

local LONG_BODY = 8 * 1024 * 1024

local function route(req)
    local fixed = teams[req.headers["x-team"]]
    if fixed then
        return fixed
    end
    if req.has_images or req.body_bytes > LONG_BODY then
        return { model = req.model, first_token_ms = 300000 }
    end
    return req.model
end

return route
