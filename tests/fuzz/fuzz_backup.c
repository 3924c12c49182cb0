/* Files that somebody calls a backup: reading one ends, within bounds, and says what it is. */
#include "record/backup.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    struct gate_backup_sum sum;
    struct gate_error err = {.message = ""};
    int fd = memfd_create("backup", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    enum gate_status status = gate_backup_verify(path, &sum, &err);
    if (status != GATE_OK && (status != GATE_EPARSE || err.message[0] == '\0'))
        abort();
    if (status == GATE_OK && sum.bytes != size)
        abort();
    close(fd);
    return 0;
}
