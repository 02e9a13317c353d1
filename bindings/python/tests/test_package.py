"""The package as a thing that is installed: version, headers, library."""

import ctypes
import os
import re

import gort


def test_version() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", gort.version())
    assert gort.__version__ == gort.version()


def test_headers_are_there() -> None:
    for name in ("gort.h", "gort_typed.h", "gort.hpp", "gort/chan.hpp"):
        assert os.path.isfile(os.path.join(gort.get_include(), name)), name


def test_the_library_is_the_one_that_is_loaded() -> None:
    """C code linked with get_library() shares the runtime: the file is mapped once."""
    library = ctypes.CDLL(gort.get_library())
    library.gort_version_string.restype = ctypes.c_char_p
    assert library.gort_version_string().decode() == gort.version()
    with open("/proc/self/maps") as maps:
        files = {line.split()[-1] for line in maps if "libgort.so" in line}
    assert files == {os.path.realpath(gort.get_library())}
