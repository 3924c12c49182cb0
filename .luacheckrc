-- The scripts run in Lua 5.4 with what the sandbox allows; everything else is an error here too.
std = {
    read_globals = {
        "assert", "error", "ipairs", "next", "pairs", "pcall", "rawequal", "rawget", "rawlen",
        "rawset", "select", "setmetatable", "getmetatable", "tonumber", "tostring", "type",
        "xpcall", "_VERSION", "require",
        "math", "string", "table", "utf8",
    },
}
max_line_length = 100
