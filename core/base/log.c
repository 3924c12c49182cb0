#include "base/log.h"
#include "base/clock.h"
#include "base/utf8.h"
#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <unistd.h>

enum {
    FLUSH_ABOVE = 32 * 1024,
    WORST_ESCAPE = 6,    /* bytes that one byte can become: \u001f */
    REQUEST_VALUES = 10, /* strings of struct gate_log_request */
    REQUEST_FIXED = 768, /* names, numbers and punctuation of a request line, with reserve */
    REQUEST_LINE_MAX = REQUEST_VALUES * (GATE_LOG_MAX_VALUE * WORST_ESCAPE + 8) + REQUEST_FIXED,
    STAMP_LEN = 20,
    MESSAGE_LINE_MAX = GATE_LOG_MAX_MESSAGE * WORST_ESCAPE + 128,
};

/* The one place where the process keeps its log settings: a line may come from any thread and any
 * depth, and has no one to be handed a logger by. Written by gate_log_setup and
 * gate_log_set_level only, but for the counts. */
static struct {
    _Atomic int level, format, fd;
    _Atomic uint64_t dropped;    /* lines, since the start */
    _Atomic uint64_t unreported; /* of these: not yet said in the log */
    _Atomic bool torn;           /* the last write ended inside a line */
} settings = {.level = GATE_LOG_INFO, .format = GATE_LOG_TEXT, .fd = STDERR_FILENO};

static const char *const level_names[] = {"DEBUG", "INFO", "WARN", "ERROR"};

void gate_log_setup(enum gate_log_level level, enum gate_log_format format, int fd)
{
    atomic_store(&settings.level, level);
    atomic_store(&settings.format, format);
    atomic_store(&settings.fd, fd);
}

void gate_log_set_level(enum gate_log_level level)
{
    atomic_store(&settings.level, level);
}

enum gate_log_level gate_log_level_now(void)
{
    return (enum gate_log_level)atomic_load_explicit(&settings.level, memory_order_relaxed);
}

enum gate_log_format gate_log_format_now(void)
{
    return (enum gate_log_format)atomic_load_explicit(&settings.format, memory_order_relaxed);
}

uint64_t gate_log_dropped(void)
{
    return atomic_load(&settings.dropped);
}

/* ---- pieces of a line: each writes at p, which the caller has given enough room, and returns the
 * end */

static char *put_str(char *p, struct gate_str s)
{
    memcpy(p, s.ptr, s.len);
    return p + s.len;
}

#define PUT(p, literal) put_str((p), GATE_STR(literal))

static char *put_uint(char *p, uint64_t n)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    return put_str(p, (struct gate_str){digits + at, sizeof digits - at});
}

/* Exactly `width` digits. */
static char *put_padded(char *p, uint32_t n, unsigned width)
{
    for (unsigned i = width; i > 0; i--) {
        p[i - 1] = (char)('0' + n % 10);
        n /= 10;
    }
    return p + width;
}

/* Microseconds as milliseconds with three decimals. */
static char *put_ms(char *p, uint64_t us)
{
    p = put_uint(p, us / 1000);
    *p++ = '.';
    return put_padded(p, (uint32_t)(us % 1000), 3);
}

/* "2026-01-02T03:04:05.": UTC, computed here because gmtime takes a lock that all threads share. */
static char *put_second(char *p, uint64_t second)
{
    uint32_t days = (uint32_t)(second / 86400), rest = (uint32_t)(second % 86400);
    uint32_t year = 1970, month = 0;
    static const uint8_t month_days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    for (;; year++) {
        uint32_t length = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0 ? 366 : 365;
        if (days < length) {
            uint32_t leap = length - 365;
            for (; days >= month_days[month] + (month == 1 ? leap : 0); month++)
                days -= month_days[month] + (month == 1 ? leap : 0);
            break;
        }
        days -= length;
    }
    p = put_padded(p, year, 4);
    *p++ = '-';
    p = put_padded(p, month + 1, 2);
    *p++ = '-';
    p = put_padded(p, days + 1, 2);
    *p++ = 'T';
    p = put_padded(p, rest / 3600, 2);
    *p++ = ':';
    p = put_padded(p, rest / 60 % 60, 2);
    *p++ = ':';
    p = put_padded(p, rest % 60, 2);
    *p++ = '.';
    return p;
}

/* What a byte asks of a line. */
enum { NEEDS_QUOTES = 1, NEEDS_ESCAPE = 2 };
static const uint8_t byte_needs[256] = {
    [0x00 ... 0x1f] = NEEDS_QUOTES | NEEDS_ESCAPE,
    [' '] = NEEDS_QUOTES,
    ['='] = NEEDS_QUOTES,
    ['"'] = NEEDS_QUOTES | NEEDS_ESCAPE,
    ['\\'] = NEEDS_QUOTES | NEEDS_ESCAPE,
    [0x7f ... 0xff] = NEEDS_QUOTES | NEEDS_ESCAPE,
};

static unsigned needs_of(struct gate_str s)
{
    unsigned needs = 0;
    for (size_t i = 0; i < s.len; i++)
        needs |= byte_needs[(uint8_t)s.ptr[i]];
    return needs;
}

static bool is_c1_control(const char *p, size_t length)
{
    return length == 2 && (uint8_t)p[0] == 0xc2 && (uint8_t)p[1] < 0xa0;
}

/* Writes s so that it holds no control character and is valid UTF-8. json: as the inside of a JSON
 * string, with U+FFFD for bytes that are not UTF-8. Otherwise such bytes become \xNN; quoted: `"`
 * and `\` are escaped too. */
static char *put_escaped(char *p, struct gate_str s, bool json, bool quoted)
{
    static const char hex[] = "0123456789abcdef";
    for (size_t i = 0; i < s.len;) {
        uint8_t c = (uint8_t)s.ptr[i];
        size_t length = gate_utf8_length(s.ptr + i, s.len - i);
        if (c == '\n') {
            p = PUT(p, "\\n");
        } else if (quoted && (c == '"' || c == '\\')) {
            *p++ = '\\';
            *p++ = (char)c;
        } else if (length > 0 && c >= 0x20 && c != 0x7f && !is_c1_control(s.ptr + i, length)) {
            p = put_str(p, (struct gate_str){s.ptr + i, length});
            i += length;
            continue;
        } else if (json && length == 0) {
            p = PUT(p, "\xef\xbf\xbd");
        } else {
            /* The second byte of a C1 control is its code point. */
            uint8_t code = length == 2 ? (uint8_t)s.ptr[++i] : c;
            p = json ? PUT(p, "\\u00") : PUT(p, "\\x");
            *p++ = hex[code >> 4];
            *p++ = hex[code & 15];
        }
        i++;
    }
    return p;
}

/* At most max bytes of s, without the beginning of a character at the end: it would come out as
 * broken bytes. */
static struct gate_str cut(struct gate_str s, size_t max)
{
    if (s.len <= max)
        return s;
    s.len = max;
    for (size_t back = 1; back < 4 && back <= s.len; back++) {
        const char *p = s.ptr + s.len - back;
        if (((uint8_t)*p & 0xc0) == 0x80)
            continue;
        if (gate_utf8_length(p, back) == 0)
            s.len -= back;
        break;
    }
    return s;
}

/* A value in the text format: bare if it can be read back so, else quoted; "-" for none. */
static char *put_value(char *p, struct gate_str s)
{
    if (s.len == 0)
        return PUT(p, "-");
    s = cut(s, GATE_LOG_MAX_VALUE);
    if (needs_of(s) == 0 && !(s.len == 1 && s.ptr[0] == '-'))
        return put_str(p, s);
    *p++ = '"';
    p = put_escaped(p, s, false, true);
    *p++ = '"';
    return p;
}

static char *put_json_value(char *p, struct gate_str s)
{
    if (s.len == 0)
        return PUT(p, "null");
    s = cut(s, GATE_LOG_MAX_VALUE);
    *p++ = '"';
    p = (needs_of(s) & NEEDS_ESCAPE) == 0 ? put_str(p, s) : put_escaped(p, s, true, true);
    *p++ = '"';
    return p;
}

/* ---- writing */

/* True: everything was taken. False: *done bytes were. */
static bool write_all(int fd, struct gate_str bytes, size_t *done)
{
    *done = 0;
    while (*done < bytes.len) {
        ssize_t n = write(fd, bytes.ptr + *done, bytes.len - *done);
        if (n > 0)
            *done += (size_t)n;
        else if (n == 0 || errno != EINTR)
            return false;
    }
    return true;
}

static uint64_t count_lines(struct gate_str bytes)
{
    uint64_t lines = 0;
    for (size_t i = 0; i < bytes.len; i++)
        lines += bytes.ptr[i] == '\n';
    return lines;
}

static char *put_line_start(char *p, enum gate_log_level level, struct gate_str second,
                            uint32_t millis)
{
    bool json = gate_log_format_now() == GATE_LOG_JSON;
    if (json)
        p = PUT(p, "{\"time\":\"");
    p = put_str(p, second);
    p = put_padded(p, millis, 3);
    p = json ? PUT(p, "Z\",\"level\":\"") : PUT(p, "Z ");
    p = put_str(p, gate_str_of(level_names[level]));
    return json ? PUT(p, "\",\"message\":\"") : PUT(p, " ");
}

/* A whole line with its newline; room for MESSAGE_LINE_MAX bytes. */
static char *put_message(char *p, enum gate_log_level level, struct gate_str message)
{
    char second[STAMP_LEN];
    uint64_t now = gate_clock_wall_ms();
    put_second(second, now / 1000);
    p = put_line_start(p, level, (struct gate_str){second, STAMP_LEN}, (uint32_t)(now % 1000));
    bool json = gate_log_format_now() == GATE_LOG_JSON;
    p = put_escaped(p, message, json, json);
    return json ? PUT(p, "\"}\n") : PUT(p, "\n");
}

/* Says in the log how many lines are missing before it. False: not possible yet. */
static bool report_dropped(int fd)
{
    uint64_t missing = atomic_exchange(&settings.unreported, 0);
    if (missing == 0)
        return true;
    char message[64], line[256], *p = line, *end = put_uint(message, missing);
    end = PUT(end, " log lines were dropped");
    if (atomic_load(&settings.torn))
        *p++ = '\n';
    p = put_message(p, GATE_LOG_WARN, (struct gate_str){message, (size_t)(end - message)});
    size_t done;
    if (write_all(fd, (struct gate_str){line, (size_t)(p - line)}, &done)) {
        atomic_store(&settings.torn, false);
        return true;
    }
    if (done > 0)
        atomic_store(&settings.torn, true);
    atomic_fetch_add(&settings.unreported, missing);
    return false;
}

/* Whole lines. */
static void write_lines(struct gate_str lines)
{
    int saved = errno;
    int fd = atomic_load_explicit(&settings.fd, memory_order_relaxed);
    size_t done = 0;
    if (!report_dropped(fd) || !write_all(fd, lines, &done)) {
        if (done > 0)
            atomic_store(&settings.torn, lines.ptr[done - 1] != '\n');
        uint64_t missing = count_lines((struct gate_str){lines.ptr + done, lines.len - done});
        atomic_fetch_add(&settings.dropped, missing);
        atomic_fetch_add(&settings.unreported, missing);
    }
    errno = saved;
}

void gate_log(enum gate_log_level level, const char *format, ...)
{
    if (level < gate_log_level_now())
        return;
    /* One byte more than is shown, and the NUL: so cut can tell that there is more. */
    char message[GATE_LOG_MAX_MESSAGE + 2], line[MESSAGE_LINE_MAX];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(message, sizeof message, format, args);
    va_end(args);
    struct gate_str text = cut(gate_str_of(n < 0 ? "" : message), GATE_LOG_MAX_MESSAGE);
    char *end = put_message(line, level, text);
    write_lines((struct gate_str){line, (size_t)(end - line)});
}

/* ---- request lines */

void gate_log_batch_init(struct gate_log_batch *b)
{
    *b = (struct gate_log_batch){.second = UINT64_MAX};
    gate_buf_init(&b->lines, FLUSH_ABOVE + REQUEST_LINE_MAX);
}

static char *put_request_text(char *p, const struct gate_log_request *r)
{
    p = put_value(PUT(p, "request id="), r->request_id);
    p = put_value(PUT(p, " method="), r->method);
    p = put_value(PUT(p, " path="), r->path);
    p = put_uint(PUT(p, " status="), (uint64_t)r->status);
    p = put_value(PUT(p, " model="), r->model);
    p = put_value(PUT(p, " target="), r->target);
    p = put_value(PUT(p, " provider="), r->provider);
    p = put_value(PUT(p, " account="), r->account);
    p = r->stream ? PUT(p, " stream=1") : PUT(p, " stream=0");
    p = put_uint(PUT(p, " bytes_in="), r->bytes_in);
    p = put_uint(PUT(p, " bytes_out="), r->bytes_out);
    p = put_ms(PUT(p, " ms="), r->total_us);
    p = PUT(p, " first_ms=");
    p = r->first_us < 0 ? PUT(p, "-") : put_ms(p, (uint64_t)r->first_us);
    p = put_uint(PUT(p, " attempts="), r->attempts);
    p = put_value(PUT(p, " outcome="), r->outcome);
    p = put_value(PUT(p, " error="), r->error_code);
    p = put_uint(PUT(p, " upstream_status="), (uint64_t)r->upstream_status);
    p = put_value(PUT(p, " client="), r->client);
    return PUT(p, "\n");
}

static char *put_request_json(char *p, const struct gate_log_request *r)
{
    p = put_json_value(PUT(p, "request\",\"id\":"), r->request_id);
    p = put_json_value(PUT(p, ",\"method\":"), r->method);
    p = put_json_value(PUT(p, ",\"path\":"), r->path);
    p = put_uint(PUT(p, ",\"status\":"), (uint64_t)r->status);
    p = put_json_value(PUT(p, ",\"model\":"), r->model);
    p = put_json_value(PUT(p, ",\"target\":"), r->target);
    p = put_json_value(PUT(p, ",\"provider\":"), r->provider);
    p = put_json_value(PUT(p, ",\"account\":"), r->account);
    p = r->stream ? PUT(p, ",\"stream\":true") : PUT(p, ",\"stream\":false");
    p = put_uint(PUT(p, ",\"bytes_in\":"), r->bytes_in);
    p = put_uint(PUT(p, ",\"bytes_out\":"), r->bytes_out);
    p = put_ms(PUT(p, ",\"ms\":"), r->total_us);
    p = PUT(p, ",\"first_ms\":");
    p = r->first_us < 0 ? PUT(p, "null") : put_ms(p, (uint64_t)r->first_us);
    p = put_uint(PUT(p, ",\"attempts\":"), r->attempts);
    p = put_json_value(PUT(p, ",\"outcome\":"), r->outcome);
    p = put_json_value(PUT(p, ",\"error\":"), r->error_code);
    p = put_uint(PUT(p, ",\"upstream_status\":"), (uint64_t)r->upstream_status);
    p = put_json_value(PUT(p, ",\"client\":"), r->client);
    return PUT(p, "}\n");
}

void gate_log_batch_request(struct gate_log_batch *b, const struct gate_log_request *r)
{
    assert(r->status >= 0 && r->upstream_status >= 0);
    if (gate_log_level_now() > GATE_LOG_INFO)
        return;
    /* Room for the longest line at once, so that its pieces need no checks of their own. */
    char *start = gate_buf_reserve(&b->lines, REQUEST_LINE_MAX);
    uint64_t now = gate_clock_wall_ms();
    if (now / 1000 != b->second) {
        b->second = now / 1000;
        put_second(b->stamp, b->second);
    }
    char *p = put_line_start(start, GATE_LOG_INFO, (struct gate_str){b->stamp, STAMP_LEN},
                             (uint32_t)(now % 1000));
    p = gate_log_format_now() == GATE_LOG_JSON ? put_request_json(p, r) : put_request_text(p, r);
    b->lines.len += (size_t)(p - start);
    if (b->lines.len > FLUSH_ABOVE)
        gate_log_batch_flush(b);
}

bool gate_log_batch_pending(const struct gate_log_batch *b)
{
    return b->lines.len > 0;
}

void gate_log_batch_flush(struct gate_log_batch *b)
{
    if (b->lines.len > 0)
        write_lines(gate_buf_str(&b->lines));
    b->lines.len = 0;
}

void gate_log_batch_finish(struct gate_log_batch *b)
{
    gate_log_batch_flush(b);
    gate_buf_finish(&b->lines);
}
