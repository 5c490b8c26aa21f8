"""TFRecord files, as img2dataset writes them: records of `tf.train.Example`, read without TensorFlow.

A record is the length of its data, 8 bytes, a checksum of that, 4 bytes, the data, and a checksum of it, 4 bytes, which
are not looked at: https://www.tensorflow.org/tutorials/load_data/tfrecord. Its data is a message of Protocol Buffers:
https://protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

_LARGEST = 1 << 30  # bytes of a record
_LENGTH = struct.Struct("<Q4x")
_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5  # wire types


def examples(path: Path) -> Iterator[dict[str, bytes]]:
    """The features of each record of the file *path* that are bytes. Raises ValueError for what is no such file, also
    one that is cut, and OSError."""
    with path.open("rb") as file:
        while head := file.read(_LENGTH.size):
            length = _LENGTH.unpack(head)[0] if len(head) == _LENGTH.size else _LARGEST + 1
            data = file.read(length) if length <= _LARGEST else b""
            if len(data) != length or len(file.read(4)) != 4:
                raise ValueError("it is no TFRecord file, or is cut")
            yield _features(data)


def _features(example: bytes) -> dict[str, bytes]:
    """What an Example has: one message, Features, of which each entry is a name and a Feature. A feature of bytes is a
    list of them, of which the first counts."""
    found = {}
    for features in _parts(example, 1):
        for entry in _parts(features, 1):
            name = b"".join(_parts(entry, 1)).decode("utf-8", "replace")
            values = (value for feature in _parts(entry, 2) for each in _parts(feature, 1) for value in _parts(each, 1))
            if (value := next(values, None)) is not None:
                found[name] = value
    return found


def _parts(message: bytes, number: int) -> Iterator[bytes]:
    """The fields with that *number* of a *message* that have bytes: texts, bytes, and messages."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        kind, length = tag & 7, 0
        if kind == _VARINT:
            _, at = _varint(message, at)
        elif kind == _BYTES:
            length, at = _varint(message, at)
        elif kind in {_EIGHT, _FOUR}:
            length = 8 if kind == _EIGHT else 4
        else:
            raise ValueError("a record is no tf.train.Example")
        if at + length > len(message):
            raise ValueError("a record is no tf.train.Example")
        if kind == _BYTES and tag >> 3 == number:
            yield message[at : at + length]
        at += length


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """The number that begins at byte *at*, and the byte behind it."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            break
        value |= (message[at] & 0x7F) << shift
        at += 1
        if message[at - 1] < 0x80:
            return value, at
    raise ValueError("a record is no tf.train.Example")
