"""Hostile files with the names of pictures."""

from __future__ import annotations

import io
import os
import pickle
import socket
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from tools.faults.hostile import Touch

_BLOCK = bytes(1 << 20)


def _png(width: int, height: int, *chunks: tuple[bytes, bytes], rows: int | None = None) -> bytes:
    """Return a black PNG file with further chunks; fewer rows than it declares, if given."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + checksum

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    more = b"".join(chunk(kind, content) for kind, content in chunks)
    packer = zlib.compressobj()
    pixels = b"".join(packer.compress(bytes(width + 1)) for _ in range(rows or height))
    body = chunk(b"IDAT", pixels + packer.flush())
    return b"\x89PNG\r\n\x1a\n" + header + more + body + chunk(b"IEND", b"")


def _two_gigabytes() -> bytes:
    """Return 2 GiB of zeros, packed."""
    packer = zlib.compressobj(1)
    return b"".join(packer.compress(_BLOCK) for _ in range(2 << 10)) + packer.flush()


def _saved(kind: str) -> bytes:
    file = io.BytesIO()
    Image.new("L", (40, 30)).save(file, kind)
    return file.getvalue()


def _tiff_in_a_circle() -> bytes:
    """Return a TIFF file whose only directory names itself as the next."""
    fields = {256: 40, 257: 30, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: 30, 279: 1200}
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, fields[tag]) for tag in fields)
    return struct.pack("<2sHIH", b"II", 42, 8, len(fields)) + directory + struct.pack("<I", 8)


def _huge_jpeg() -> bytes:
    return _saved("JPEG").replace(struct.pack(">HH", 30, 40), b"\xff\xdc" * 2, 1)


def _huge_gif() -> bytes:
    whole = _saved("GIF")
    return whole[:6] + b"\xff" * 4 + whole[10:]


def _negative_bmp() -> bytes:
    whole = _saved("BMP")
    return whole[:18] + struct.pack("<ii", -(1 << 31), -(1 << 31)) + whole[26:]


def _including_svg() -> bytes:
    return b'<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY e SYSTEM "file:///etc/passwd">]><svg/>'


_CONTENTS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "PostScript program": ("a.png", lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n(x) run\n"),
    "PDF": ("a.png", lambda: b"%PDF-1.7\n"),
    "SVG that includes another file": ("a.png", _including_svg),
    "pickle": ("a.png", lambda: pickle.dumps(Touch())),
    "zip file": ("a.jpg", lambda: b"PK\x05\x06" + bytes(18)),
    "PNG of 2,500,000,000 pixels": ("a.png", lambda: _png(50_000, 50_000, rows=1)),
    "PNG with 2 GB of text": ("a.png", lambda: _png(4, 3, (b"zTXt", b"a\0\0" + _two_gigabytes()))),
    "PNG with 2 GB of color profile": (
        "a.png",
        lambda: _png(4, 3, (b"iCCP", b"a\0\0" + _two_gigabytes())),
    ),
    "PNG that is cut": ("a.png", lambda: _png(40, 30)[:45]),
    "JPEG of 4,290,000,000 pixels": ("a.jpg", _huge_jpeg),
    "GIF of 4,290,000,000 pixels": ("a.gif", _huge_gif),
    "TIFF of directories in a circle": ("a.tif", _tiff_in_a_circle),
    "BMP of negative size": ("a.bmp", _negative_bmp),
    "WebP that is cut": ("a.webp", lambda: _saved("WEBP")[:20]),
    "name with a line break and an escape": ("a\n\x1b[31m.png", lambda: b"no picture"),
}


def _socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # the address of a socket must be short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path.name)
    os.chdir(here)


def _sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(20 << 30)


_SPECIAL: dict[str, Callable[[Path], object]] = {
    "pipe": os.mkfifo,
    "socket": _socket,
    "device": lambda path: path.symlink_to("/dev/zero"),
    "link to itself": lambda path: path.symlink_to(path.name),
    "folder": Path.mkdir,
    "file of 20 GB": _sparse,
}

KINDS = (*_CONTENTS, *_SPECIAL)


def make(kind: str, folder: Path) -> Path:
    """Make a hostile picture in a folder, and return its path."""
    if kind in _SPECIAL:
        path = folder / "a.png"
        _SPECIAL[kind](path)
        return path
    name, content = _CONTENTS[kind]
    path = folder / name
    path.write_bytes(content())
    return path
