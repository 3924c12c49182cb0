#include "command_internal.h"
#include <qrencode.h>

enum { QUIET = 4 /* modules of white on each side */ };

static bool is_light(const QRcode *code, int x, int y)
{
    x -= QUIET;
    y -= QUIET;
    return x < 0 || y < 0 || x >= code->width || y >= code->width ||
           (code->data[y * code->width + x] & 1) == 0;
}

/* A character shows two modules, one above the other. Light ones are drawn, as on most terminals
 * what is drawn is light. */
static void put_row(FILE *out, const QRcode *code, int y, bool colour)
{
    static const char *const glyphs[] = {" ", "\u2584", "\u2580", "\u2588"};
    fputs(colour ? "\033[40;97m" : "", out);
    for (int x = 0; x < code->width + 2 * QUIET; x++)
        fputs(glyphs[2 * is_light(code, x, y) + is_light(code, x, y + 1)], out);
    fputs(colour ? "\033[0m\n" : "\n", out);
}

bool command_qr(FILE *out, const char *text, bool colour, unsigned columns)
{
    QRcode *code = QRcode_encodeString8bit(text, 0, QR_ECLEVEL_L);
    bool fits = code != NULL && (unsigned)code->width + 2 * QUIET <= columns;
    for (int y = 0; fits && y < code->width + 2 * QUIET; y += 2)
        put_row(out, code, y, colour);
    QRcode_free(code);
    return fits;
}
