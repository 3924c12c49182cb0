-- Model names that this gateway adds to those of its providers.
--
-- The table maps a name that clients ask for to what it stands for: a model, or "provider/model" to
-- name the provider too. A name that is not listed stands for itself. Names from the MODEL_MAPPINGS
-- variable win over this file. See docs/scripting.md.

return {
    -- ["fast"] = "qwen-turbo",
    -- ["best"] = "qwen/qwen3-max",

    -- Patterns: `*` is any text, `?` one character. They come after names without these.
    -- ["gpt-4*"] = "qwen/qwen-plus",
    -- ["openai:*"] = "openai/*", -- the `*` of the target is what that of the name stood for

    -- A function decides with each request; nil: the name itself.
    -- ["daily"] = function(_name)
    --     return gate.time("+08:00").wday >= 6 and "qwen-turbo" or "qwen-plus"
    -- end,

    -- One function without a name is asked for all names that are not listed.
    -- function(name)
    --     return name:match("^models/(.+)$")
    -- end,
}
