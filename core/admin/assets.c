#include "admin/assets.h"

const struct gate_asset *gate_asset_find(struct gate_str path)
{
    for (size_t i = 0; i < gate_asset_count; i++)
        if (gate_str_eq(gate_assets[i].path, path))
            return &gate_assets[i];
    return NULL;
}
