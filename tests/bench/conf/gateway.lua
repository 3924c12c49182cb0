-- The gateway's configuration in the bench: one client header for route(req), and a pool of 20
-- accounts of the upstream, as OPENAI_BASE_URL names it.
local accounts = {}
for i = 1, 20 do
    accounts[i] = { alias = "bench-" .. i, key_env = "BENCH_KEY" }
end

return {
    route_headers = { "x-team" },
    providers = {
        { name = "openai", plugin = "openai", accounts = accounts },
    },
}
