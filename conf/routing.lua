-- Where a request goes. route(req) is called once for each request and decides only; it returns
--
--     nil                                    the model that the client asked for
--     "model" or "instance/model"            this one instead
--     { model = "...", total_ms = 60000 }    this one, with clocks of its own
--     a list of these                        the first; the next when it fails
--
-- What req offers and what a script may use is in docs/scripting.md.

local function route(_req)
    return nil
end

return route
