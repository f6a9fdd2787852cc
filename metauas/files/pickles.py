"""Looking a pickle through before it is read: a few bytes of it can make an unpickler take all memory there is."""

import io
import pickletools

_PLACES = ("PUT", "BINPUT", "LONG_BINPUT")  # opcodes that say where to remember a value, for which a table is made


def check_pickle(file: io.BytesIO) -> None:
    """Go through the next pickle in a file without making anything of it, and leave the file where it was.

    The file must be in memory: reading from a disk reserves as many bytes as a damaged file claims.

    Raises:
        ValueError: it is cut off, holds an unknown opcode, or refers to more values than it has bytes.
    """
    start, size = file.tell(), len(file.getbuffer())
    for opcode, argument, _ in pickletools.genops(file):
        if opcode.name in _PLACES and not 0 <= int(argument or 0) <= size:
            raise ValueError(f"a pickle of {size} bytes that refers to its value number {argument}")
    file.seek(start)
