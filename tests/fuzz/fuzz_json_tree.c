/* Bodies of the admin API and of web searches: whatever is sent, a tree is what its text says, or
 * there is none. */
#include "base/json_tree.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char reason[GATE_JSON_TREE_REASON] = "";
    cJSON *tree = gate_json_tree_parse((struct gate_str){(const char *)data, size}, reason);
    if ((tree == NULL) != (reason[0] != '\0'))
        abort();
    if (tree != NULL && !cJSON_IsObject(tree))
        abort();
    if (tree != NULL) {
        /* What was taken prints as something that is taken again. */
        char *text = cJSON_PrintUnformatted(tree);
        if (text != NULL) {
            cJSON *again = gate_json_tree_parse(gate_str_of(text), reason);
            if (again == NULL)
                abort();
            gate_json_tree_free(again);
            cJSON_free(text);
        }
        gate_json_tree_unknown(tree, "a|b");
    }
    gate_json_tree_free(tree);
    return 0;
}
