"""How many weights a file has, and in which numbers most of them are kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from utils.safetensors_header import Tensor
from workflows.recognition.rules import Names

WORDS: Mapping[str, str] = {
    "F64": "fp64",
    "F32": "fp32",
    "F16": "fp16",
    "BF16": "bf16",
    "F8_E4M3": "fp8",
    "F8_E5M2": "fp8",
    "F8_E4M3FNUZ": "fp8",
    "F8_E5M2FNUZ": "fp8",
    "F6_E2M3": "fp6",
    "F6_E3M2": "fp6",
    "F4": "fp4",
    "I8": "int8",
}


def by_type(tensors: Iterable[Tensor]) -> Counter[str]:
    """Weights by type. A header's equal tensors are mostly one object, so each is multiplied out once."""
    every = list(tensors)
    times = Counter(map(id, every))
    found: Counter[str] = Counter()
    for key, tensor in dict(zip(map(id, every), every, strict=True)).items():
        found[tensor.dtype] += tensor.elements * times[key]
    return found


def precision_of(counted: Counter[str], names: Names) -> str:
    """Of most of these weights; of packed ones, by the signs that the packer left among the names."""
    if not counted:
        return ""
    packing = _packing(counted, names)
    dtype = max(counted, key=lambda dtype: counted[dtype] * (2 if packing and dtype in {"U8", "I8"} else 1))
    if dtype in {"U8", "I8"} and packing:
        return packing
    if WORDS.get(dtype) == "fp8" and "F8_E8M0" in counted:
        return "mxfp8"
    return WORDS.get(dtype, dtype.lower())


def weights_of(counted: Counter[str], names: Names) -> int:
    """Number of weights, packed ones counted as they are when unpacked."""
    doubled = counted["U8"] + counted["I8"] if _packing(counted, names) else 0
    return counted.total() + doubled


def _packing(counted: Counter[str], names: Names) -> str:
    """How two weights are packed into a byte; empty when they are not."""
    if not counted["U8"] and not counted["I8"]:
        return ""
    if ".wscales\n" in names.text:
        return "nvfp4" if any(dtype.startswith("F8") for dtype in counted) else "int4"
    if not counted["U8"]:
        return ""
    if "bitsandbytes__nf4" in names.text:
        return "nf4"
    if "bitsandbytes__fp4" in names.text:
        return "fp4"
    return "nvfp4" if ".weight_scale_2\n" in names.text else ""
