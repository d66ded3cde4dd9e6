"""Changes to the bytes of a valid file, drawn by a seed."""

import random
import re

_NUMBERS = [b"0", b"-1", b"1e999", b"nan", b"99999999999999999999", b"2147483648", b"0.5", b""]
_BYTES = [b"\0", b"\xff", b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\0\0\0"]
_TOKEN = re.compile(rb"[\w.+-]+")


def mutated(data: bytes, seed: int) -> bytes:
    """The data with one to four changes."""
    draw = random.Random(seed)
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        data = draw.choice(_CHANGES)(data, draw)
    return data


def _flip(data: bytes, draw: random.Random) -> bytes:
    if not data:
        return data
    # Headers decide more than pixels: half of the changes are among the first bytes.
    at = draw.randrange(min(len(data), draw.choice((256, len(data)))))
    return data[:at] + bytes([data[at] ^ 1 << draw.randrange(8)]) + data[at + 1 :]


def _overwrite(data: bytes, draw: random.Random) -> bytes:
    at, value = draw.randrange(len(data) + 1), draw.choice(_BYTES)
    return data[:at] + value + data[at + len(value) :]


def _cut(data: bytes, draw: random.Random) -> bytes:
    return data[: draw.randrange(len(data) + 1)]


def _remove(data: bytes, draw: random.Random) -> bytes:
    start, end = sorted(draw.randrange(len(data) + 1) for _ in range(2))
    return data[:start] + data[min(end, start + draw.choice((1, 4, 64, 4096))) :]


def _repeat(data: bytes, draw: random.Random) -> bytes:
    start, end = sorted(draw.randrange(len(data) + 1) for _ in range(2))
    return data[:end] + data[start : min(end, start + 2000)] * draw.choice((1, 2, 20)) + data[end:]


def _replace_token(data: bytes, draw: random.Random) -> bytes:
    tokens = list(_TOKEN.finditer(data))
    if not tokens:
        return data
    token, other = draw.choice(tokens), draw.choice(tokens).group()
    value = draw.choice([*_NUMBERS, other, other, other])
    return data[: token.start()] + value + data[token.end() :]


_CHANGES = (_flip, _flip, _overwrite, _cut, _remove, _repeat, _replace_token, _replace_token)
