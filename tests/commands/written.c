/* Preloaded into a process under test: whatever it hands to write(2) and its kin is also appended to $WRITTEN,
   so that a file which is removed, or never had a name, still tells what was put into it. */

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static void note(const void *data, ssize_t size)
{
    int file = open(getenv("WRITTEN"), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (size > 0)
        syscall(SYS_write, file, data, size);
    close(file);
}

ssize_t write(int file, const void *data, size_t size)
{
    ssize_t done = syscall(SYS_write, file, data, size);
    note(data, done);
    return done;
}

ssize_t pwrite64(int file, const void *data, size_t size, off_t where)
{
    ssize_t done = syscall(SYS_pwrite64, file, data, size, where);
    note(data, done);
    return done;
}

ssize_t writev(int file, const struct iovec *parts, int count)
{
    ssize_t done = 0;
    for (int part = 0; part < count; part++)
        done += write(file, parts[part].iov_base, parts[part].iov_len);
    return done;
}
