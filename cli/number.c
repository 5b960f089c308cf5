/* Numbers and sizes on the command line: digits and one suffix only, without silent overflow. */
#include "cli/number.h"

static enum ord_err parse(uint64_t *out, const char *text, uint64_t min, uint64_t max, bool suffix_allowed) {
    uint64_t value = 0;
    const char *p = text;
    for (; *p >= '0' && *p <= '9'; p++) {
        uint64_t digit = (uint64_t) (*p - '0');
        if (value > (UINT64_MAX - digit) / 10)
            return ORD_ERR_INVALID;
        value = value * 10 + digit;
    }
    if (p == text)
        return ORD_ERR_INVALID;
    unsigned shift = 0;
    if (suffix_allowed && *p != '\0') {
        shift = *p == 'K' || *p == 'k' ? 10 : *p == 'M' || *p == 'm' ? 20 : *p == 'G' || *p == 'g' ? 30 : 0;
        p += shift != 0;
    }
    if (*p != '\0' || value > UINT64_MAX >> shift)
        return ORD_ERR_INVALID;
    value <<= shift;
    if (value < min || value > max)
        return ORD_ERR_INVALID;
    *out = value;
    return ORD_OK;
}

enum ord_err cli_number(uint64_t *out, const char *text, uint64_t min, uint64_t max) {
    return parse(out, text, min, max, false);
}

enum ord_err cli_size(uint64_t *out, const char *text, uint64_t min, uint64_t max) {
    return parse(out, text, min, max, true);
}
