"""How the C library hands memory back between steps."""

import ctypes
import functools
import platform

# Parameters of glibc's mallopt(3).
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4


@functools.cache
def keep_freed_memory():
    """Asks glibc to keep freed memory for the next step instead of returning it to the system.

    A step frees and asks again for hundreds of megabytes of activations. By default glibc maps and unmaps each large
    block, and the system clears every page anew: in a training step on a CPU that was two fifths of the time. The
    process' memory then stays at its highest point, which it would reach again at the next step anyway.

    Returns:
        True where the C library is glibc and took the settings.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    settings = {M_MMAP_MAX: 0, M_TRIM_THRESHOLD: 2**31 - 1, M_TOP_PAD: 64 * 2**20}
    return all(mallopt(parameter, value) for parameter, value in settings.items())
