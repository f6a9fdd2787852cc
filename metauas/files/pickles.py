"""A check of pickles before they are read: a few bytes can make an unpickler allocate all memory."""

import io
import pickletools

_PLACES = ("PUT", "BINPUT", "LONG_BINPUT")  # opcodes with an index into a table, which is made as large


def check_pickle(file: io.BytesIO) -> None:
    """Parse the next pickle of a file without building any value, and restore the position in the file.

    The file must be in memory: reading from a disk allocates as many bytes as a damaged file claims.

    Raises:
        ValueError: it is cut off, holds an unknown opcode, or refers to more values than it has bytes.
    """
    start, size = file.tell(), len(file.getbuffer())
    for opcode, argument, _ in pickletools.genops(file):
        if opcode.name in _PLACES and not 0 <= int(argument or 0) <= size:
            raise ValueError(f"a pickle of {size} bytes that refers to its value number {argument}")
    file.seek(start)
