#include "verdict.h"

#include "../provider_openai/failure.h"
#include "search.h"

enum {
    MINUTE_MS = 60 * 1000,
    HOUR_MS = 60 * MINUTE_MS,
    CAPTCHA_LOOK = 2048, /* the firewall's answer says what it is at its start */
};

static bool is_captcha(struct gate_str body)
{
    static const char sign[] = "FAIL_SYS_USER_VALIDATE";
    size_t len = body.len < CAPTCHA_LOOK ? body.len : CAPTCHA_LOOK;

    return len > 0 && memmem(body.ptr, len, sign, sizeof sign - 1) != NULL;
}

static void set(const struct openai_failure *f, enum gate_verdict_kind kind,
                uint64_t retry_after_ms, struct gate_verdict *out)
{
    openai_failure_verdict(f, kind, out);
    /* What the answer itself says is better than what is known about such answers. */
    if (out->retry_after_ms == 0)
        out->retry_after_ms = retry_after_ms;
}

/* DashScope uses the code insufficient_quota for limits that clear within a minute and the portal
 * uses it for the day's quota: only the text tells, together with who said it. */
static bool judge_quota(const struct openai_failure *f, bool portal, struct gate_verdict *out)
{
    bool quota = strcmp(f->code, "insufficient_quota") == 0 ||
                 strcmp(f->type, "insufficient_quota") == 0 ||
                 openai_failure_says(f, "allocated quota exceeded");

    if (strcmp(f->code, "AllocationQuota.FreeTierOnly") == 0 || strcmp(f->code, "Arrearage") == 0) {
        set(f, GATE_VERDICT_QUOTA_EXHAUSTED, 0, out);
        return true;
    }
    if (f->status != 429 && !quota)
        return false;
    if (portal && openai_failure_says(f, "free allocated quota"))
        set(f, GATE_VERDICT_QUOTA_EXHAUSTED, 0, out);
    else if (openai_failure_says(f,
                                 "hour allocated quota")) /* a sliding window of the coding plan */
        set(f, GATE_VERDICT_QUOTA_EXHAUSTED, HOUR_MS, out);
    else if (openai_failure_says(f, "week allocated quota") ||
             openai_failure_says(f, "month allocated quota"))
        set(f, GATE_VERDICT_QUOTA_EXHAUSTED, 0, out);
    else
        set(f, GATE_VERDICT_RATE_LIMITED, quota ? MINUTE_MS : 0, out);
    return true;
}

void qwen_verdict(const struct gate_host *host, const struct gate_answer *answer, bool portal,
                  struct gate_verdict *out)
{
    struct openai_failure f;

    openai_failure_read(host, answer, &f);
    if (qwen_search_is_good(host, answer)) {
        openai_failure_verdict(&f, GATE_VERDICT_OK, out);
        return;
    }
    if (is_captcha(answer->body)) {
        openai_failure_verdict(&f, GATE_VERDICT_BLOCKED, out);
        snprintf(out->code, sizeof out->code, "FAIL_SYS_USER_VALIDATE");
        snprintf(out->message, sizeof out->message, "the service's firewall asks for a captcha");
        return;
    }
    if (f.html || f.status == 0 || !judge_quota(&f, portal, out))
        openai_failure_judge(&f, out);
    if (f.status == 403 && out->kind == GATE_VERDICT_AUTH &&
        openai_failure_says(&f, "invalid api-key"))
        snprintf(out->message, sizeof out->message,
                 "invalid api-key: the key belongs to another plan or region than the address; a "
                 "coding-plan key (sk-sp-...) works on the coding plan's address only");
}
