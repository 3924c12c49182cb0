#include "pool/quota.h"

const char *gate_limit_text(enum gate_limit_name limit)
{
    switch (limit) {
    case GATE_LIMIT_RPM:
        return "rpm";
    case GATE_LIMIT_RPD:
        return "rpd";
    case GATE_LIMIT_TPM:
        return "tpm";
    case GATE_LIMIT_TPD:
        return "tpd";
    case GATE_LIMIT_CONCURRENCY:
        return "concurrency";
    case GATE_LIMIT_UPSTREAM:
        return "upstream";
    case GATE_LIMIT_NONE:
        break;
    }
    return "";
}
