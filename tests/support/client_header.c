/*
 * Includes the public header alone, in C99 and without any include path of ours: it may need nothing but the C library.
 */
#include <ordain.h>

enum ordain_error client_header_use(const char *config_file, struct ordain **out);

enum ordain_error client_header_use(const char *config_file, struct ordain **out) {
    struct ordain_options options;
    ordain_options_init(&options);
    options.config_file = config_file;
    return ordain_open(out, &options, NULL, 0);
}
