-- gateway.lua: where the gateway listens, its limits, and its providers. It returns one table.
-- Every key is optional and an environment variable wins over its key; as shipped all keys are
-- comments, so the environment decides. Times are in milliseconds. What changes while the gateway
-- runs serves new requests at once, but for keys marked (restart): these are read at start only.
-- docs/configuration.md describes them all; `llm-gate check` tells what is wrong here.
-- No secret belongs in this file: an account names the variable or the file that holds its key.

return {
    -- listen = "127.0.0.1:8080", -- (restart)
    -- workers = 4, -- threads that serve; default: one for each CPU (restart)
    -- log_level = "INFO", -- DEBUG, INFO, WARN, ERROR
    -- log_format = "text", -- or "json" (restart)
    -- max_body = 32 * 1024 * 1024, -- bytes of a request's body (restart)
    -- drain_ms = 30000, -- running requests get this long after SIGTERM

    -- Failover and records.
    -- max_attempts = 32, -- of one request over all accounts
    -- failover_ms = 300000, -- no new attempt after this much of a request
    -- counter_flush_ms = 500, -- what a kill may lose of the counts (restart)
    -- audit_retention_days = 30, -- (restart)
    -- storage = { plugin = "rocksdb" }, -- (restart)
    -- quota = { plugin = "window" }, -- (restart)

    -- Clients.
    -- max_connections = 10000, -- of one worker
    -- header_timeout_ms = 30000, -- until the head of a request is complete
    -- body_timeout_ms = 30000, -- between two reads of a body
    -- idle_timeout_ms = 75000, -- connection without a request
    -- write_timeout_ms = 120000, -- client that takes nothing of its answer

    -- The clocks of one attempt at a provider; 0 turns a clock off (not connect_ms).
    -- clocks = {
    --     connect_ms = 10000,
    --     first_token_ms = 120000,
    --     idle_ms = 120000, -- between two pieces of an answer
    --     total_ms = 1800000,
    --     keepalive_ms = 0, -- comments to a client that waits for a stream
    -- },

    -- Client headers that route(req) in routing.lua may see, as req.headers["x-team"].
    -- route_headers = { "x-team" },

    -- echo = false, -- no built-in model "echo"

    -- More providers beside qwen, qwen-oauth, openai and echo, which are always there.
    -- `llm-gate plugins` lists plugins and options. Clients can ask for "local/llama3.2".
    -- providers = {
    --     {
    --         name = "local",
    --         plugin = "openai",
    --         options = { base_url = "http://127.0.0.1:11434/v1", models = { "llama3.2" } },
    --     },
    --     {
    --         name = "work",
    --         plugin = "openai",
    --         accounts = { -- or key_env = "WORK_KEY" for a single one
    --             { alias = "main", key_env = "WORK_KEY" }, -- variable that holds the key
    --             { alias = "spare", key_file = "/run/secrets/spare", tags = { "paid" } },
    --             { alias = "slow", key_env = "SLOW_KEY", limits = { chat = { rpm = 10 } } },
    --         },
    --         dedup = "off", -- repair of streams that repeat text: off, auto, exact
    --         ask_usage = false, -- for services that refuse stream_options
    --         clocks = { first_token_ms = 30000 },
    --         options = { base_url = "https://llm.example.com/v1" },
    --     },
    -- },
}
