/* Where files go that an option names without their ending. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tool.h"

rv_status rv__tool_prefix(const char *path, const char *option, const char *name, char prefix[RV__PREFIX]) {
    struct stat st;
    char folder[RV__PREFIX];
    bool is_folder = stat(path, &st) == 0 && S_ISDIR(st.st_mode);
    int n = snprintf(prefix, RV__PREFIX, "%s%s%s", path, is_folder ? "/" : "", is_folder ? name : "");
    if (n < 0 || n + 8 > RV__PREFIX) return rv_error(RV_EUSAGE, "%s: the path is too long", option);
    memcpy(folder, prefix, RV__PREFIX);
    char *slash = strrchr(folder, '/');
    if (slash) slash[slash == folder] = 0;
    if (!access(slash ? folder : ".", W_OK)) return RV_OK;
    return rv_error(RV_EUSAGE, "%s: cannot write to folder %s: %s", option, slash ? folder : ".", strerror(errno));
}
