-- Model names that this gateway adds to those of its providers.
--
-- The table maps a name that clients ask for to what it stands for: a model, or "instance/model" to
-- name the provider instance too. A name that is not listed stands for itself. Names from the
-- MODEL_MAPPINGS variable win over this file. See docs/scripting.md.

return {
    -- ["fast"] = "qwen-turbo",
    -- ["best"] = "qwen/qwen3-max",
}
