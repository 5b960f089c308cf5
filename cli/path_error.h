/* What an errno value says about a path. */
#ifndef ORDAIN_CLI_PATH_ERROR_H
#define ORDAIN_CLI_PATH_ERROR_H

#include <errno.h>

#include "core/err.h"

/*
 * Why a path could not be made or opened. The user can mend NOT_FOUND (it leads nowhere), EXISTS and FORBIDDEN. IO: any
 * other error, which is the machine's.
 */
static inline enum ord_err cli_path_error(int code) {
    switch (code) {
    case EEXIST:
        return ORD_ERR_EXISTS;
    case ENOENT:
    case ENOTDIR:
    case EISDIR:
    case ELOOP:
    case ENAMETOOLONG:
        return ORD_ERR_NOT_FOUND;
    case EACCES:
    case EPERM:
    case EROFS:
        return ORD_ERR_FORBIDDEN;
    default:
        return ORD_ERR_IO;
    }
}

#endif
