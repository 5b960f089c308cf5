/*
 * The public header alone, with no include path of ours and in C99: it must need nothing but the C library.
 */
#include <ordain.h>

enum ordain_error client_header_use(const char *config_file, struct ordain **out);

enum ordain_error client_header_use(const char *config_file, struct ordain **out) {
    struct ordain_options options;
    ordain_options_init(&options);
    options.config_file = config_file;
    return ordain_open(out, &options, NULL, 0);
}
