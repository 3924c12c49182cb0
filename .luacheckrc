-- What the sandbox offers to conf/*.lua and scripts/**/*.lua; see docs/scripting.md.
stds.gate = {
    read_globals = {
        "_G", "_VERSION", "assert", "error", "getmetatable", "ipairs", "next", "pairs", "pcall",
        "rawequal", "rawget", "rawlen", "require", "select", "setmetatable", "tonumber", "tostring",
        "type", "xpcall",
        gate = {
            fields = {
                "accounts", "counter", "hash", kv = { fields = { "add", "get", "set" } }, "log",
                "now", "provider", "random", "time",
            },
        },
        string = {
            fields = {
                "byte", "char", "find", "format", "gmatch", "gsub", "len", "lower", "match", "rep",
                "reverse", "sub", "upper",
            },
        },
        table = { fields = { "concat", "insert", "move", "pack", "remove", "sort", "unpack" } },
        math = {
            fields = {
                "abs", "acos", "asin", "atan", "ceil", "cos", "deg", "exp", "floor", "fmod", "huge",
                "log", "max", "maxinteger", "min", "mininteger", "modf", "pi", "rad", "random",
                "sin", "sqrt", "tan", "tointeger", "type", "ult",
            },
        },
        utf8 = { fields = { "char", "charpattern", "codepoint", "codes", "len", "offset" } },
    },
}
std = "gate"
max_line_length = 100
unused_args = true
files[".luacheckrc"].std = "luacheckrc"
-- A test of the sandbox does on purpose what the check warns about.
exclude_files = { "tests/unit/script/library.lua" }
