"""The process that reads a Parquet file for `rows.objects`, within bounds of memory and CPU time.

How much a file of some kilobytes is when it is read stands nowhere in it: one page, one value of a dictionary or one
list may be gigabytes, and what is damaged on purpose ends the process that reads it.
"""

from __future__ import annotations

import json
import math
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, Final

MEMORY: Final = 200_000_000  # bytes beyond those of the process itself, which are some 70 MB
SECONDS: Final = 20.0  # of CPU time until the next rows are there
ROWS_A_BYTE: Final = 1  # of the file, beyond a million: so many may there be, as each has an address of its own
FEW: Final = 1_000_000
MAX_ROW: Final = 1 << 20  # bytes
_BATCH: Final = 100  # rows that are held
# What is never read: bytes (images in the list itself), and what has columns of its own.
_LARGE_TYPES: Final = ("is_binary", "is_large_binary", "is_fixed_size_binary", "is_struct", "is_map", "is_union")


def main(path: str) -> None:
    """Write each row of the file *path* as a line of JSON to stdout: an object, or null for one of more than `MAX_ROW`
    bytes; in the end a text: why there is no more, or nothing."""
    rows = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what a library prints is no row
    end = ""
    try:
        for batch in _batches(path):
            _allow_time()
            for row in batch:
                rows.write(json.dumps(row).encode() + b"\n")
            rows.flush()
    except MemoryError:
        end = f"reading it takes more than {MEMORY // 1_000_000} MB of memory"
    except BrokenPipeError:  # who read it has had enough
        return
    except Exception as error:
        end = str(error).strip().partition("\n")[0] or type(error).__name__
    with suppress(BrokenPipeError):
        rows.write(json.dumps(end).encode() + b"\n")
        rows.close()


def _batches(path: str) -> Iterator[Iterator[dict[str, Any] | None]]:
    # Before their memory is bounded.
    pa, types, parquet = map(import_module, ("pyarrow", "pyarrow.types", "pyarrow.parquet"))
    pa.set_memory_pool(pa.system_memory_pool())  # others reserve what they do not need
    _bound_memory()
    _allow_time()
    with parquet.ParquetFile(path, buffer_size=1 << 20) as file:
        most = FEW + ROWS_A_BYTE * Path(path).stat().st_size
        if (count := file.metadata.num_rows) > most:
            raise ValueError(f"{count:,} rows in so small a file; expected {most:,} at the most")
        columns = [field.name for field in file.schema_arrow if not _is_large(field.type, types)]
        for batch in file.iter_batches(batch_size=_BATCH, columns=columns, use_threads=False):
            yield (_row(batch, number) for number in range(batch.num_rows))


def _row(batch: Any, number: int) -> dict[str, Any] | None:
    row = batch.slice(number, 1)
    return {name: _plain(value) for name, value in row.to_pylist()[0].items()} if row.nbytes <= MAX_ROW else None


def _is_large(kind: Any, types: Any) -> bool:
    if types.is_list(kind) or types.is_large_list(kind):
        kind = kind.value_type
    return any(getattr(types, name)(kind) for name in _LARGE_TYPES)


def _plain(value: Any) -> Any:
    """*value* of a column as JSON has it: days and times as ISO 8601 writes them, decimals as text."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _bound_memory() -> None:
    if sys.platform != "win32":
        import resource  # noqa: PLC0415 -- not on Windows

        with suppress(OSError, ValueError):
            pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
            _, hard = resource.getrlimit(resource.RLIMIT_AS)
            resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY, hard))


def _allow_time() -> None:
    if sys.platform != "win32":
        signal.setitimer(signal.ITIMER_PROF, SECONDS)


if __name__ == "__main__":
    main(sys.argv[1])
