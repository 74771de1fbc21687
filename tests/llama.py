"""A real llama.cpp server on a free port of 127.0.0.1, with a tiny model of random weights: what it writes is nonsense.

    async with LlamaServer(folder) as llama:
        async with LLMClient(llama.url, llama.model, dialect="openai") as client: ...

It speaks OpenAI's API (/v1) and none of Ollama's routes. It runs in a process of its own, which ends with its standard
input, so that no test leaves one behind. `python -m tests.llama MODEL TOKENS` is that process.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
from pathlib import Path
from typing import Any, Self

NAME = "tiny-random"
CONTEXT = 32768
"""Long, so that a reply without a bound goes on for minutes."""
WIDTH, LAYERS, HEADS, INNER = 64, 2, 4, 128
NEVER = -10.0
"""Bias of tokens that are not written: single bytes, which would be broken UTF-8, and the end of a reply."""
PATIENCE = 60.0
"""Seconds for the start of the process, which takes one."""


class LlamaServer:
    """See the module. `tokens`: the most of a reply that names no bound itself; -1 for as many as there is room for."""

    model = NAME

    def __init__(self, folder: Path, *, tokens: int = 256) -> None:
        self.url = ""
        """Of the API, with /v1."""
        self._folder = folder
        self._tokens = tokens
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        path = await asyncio.to_thread(write_model, self._folder / f"{NAME}.gguf")
        command = (sys.executable, "-m", "tests.llama", str(path), str(self._tokens))
        pipe, nowhere = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        self._process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=nowhere)
        assert self._process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            line = await self._process.stdout.readline()
        self.url = f"{json.loads(line)}/v1"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.kill()

    async def kill(self) -> None:
        """It ends without a word."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            await process.communicate()


def write_model(path: Path) -> Path:
    """A llama of 128,000 random parameters as GGUF, which reads the 256 bytes and writes the letters of ASCII."""
    import gguf
    import numpy as np

    words = [b"<unk>", b"<s>", b"</s>"]
    letters = [bytes([code]) for code in range(32, 127)]
    tokens = [*words, *(f"<0x{code:02X}>".encode() for code in range(256)), *letters]
    kinds = [gguf.TokenType.UNKNOWN, gguf.TokenType.CONTROL, gguf.TokenType.CONTROL]
    kinds += [gguf.TokenType.BYTE] * 256 + [gguf.TokenType.NORMAL] * len(letters)
    writer: Any = gguf.GGUFWriter(path, "llama")
    _shape(writer, len(tokens))
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * len(tokens))
    writer.add_token_types(kinds)
    for token, add in enumerate((writer.add_unk_token_id, writer.add_bos_token_id, writer.add_eos_token_id)):
        add(token)
    writer.add_chat_template("{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant:")
    dice = np.random.default_rng(0)
    for name, shape in _tensors(len(tokens)).items():
        numbers = np.ones(shape) if name.endswith("norm.weight") else dice.standard_normal(shape) * 0.05
        if name == "token_embd.weight":
            numbers[:, 0] = 1.0  # the same for all, so that the first number of an output row is its token's bias
        if name == "output.weight":
            numbers[:, 0] = [0.0 if kind is gguf.TokenType.NORMAL else NEVER for kind in kinds]
        writer.add_tensor(name, numbers.astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _shape(writer: Any, tokens: int) -> None:
    writer.add_name(NAME)
    writer.add_vocab_size(tokens)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_file_type(0)


def _tensors(tokens: int) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {
        "token_embd.weight": (tokens, WIDTH),
        "output_norm.weight": (WIDTH,),
        "output.weight": (tokens, WIDTH),
    }
    for layer in range(LAYERS):
        own: dict[str, tuple[int, ...]] = {f"attn_{part}": (WIDTH, WIDTH) for part in ("q", "k", "v", "output")}
        own |= {"attn_norm": (WIDTH,), "ffn_norm": (WIDTH,)}
        own |= {"ffn_gate": (INNER, WIDTH), "ffn_up": (INNER, WIDTH), "ffn_down": (WIDTH, INNER)}
        shapes |= {f"blk.{layer}.{name}.weight": shape for name, shape in own.items()}
    return shapes


def serve(path: str, tokens: int) -> None:
    """Serve until the standard input ends; the address is the first line of the standard output."""
    xllamacpp: Any = importlib.import_module("xllamacpp")  # which has no types
    params = xllamacpp.CommonParams()
    params.model.path, params.model_alias = path, [NAME]
    params.hostnames, params.port = ["127.0.0.1"], 0
    params.n_ctx, params.n_parallel, params.n_predict = 2 * CONTEXT, 2, tokens
    params.n_gpu_layers, params.cpuparams.n_threads, params.n_threads_http = 0, 1, 4
    params.endpoint_slots, params.warmup, params.offline = True, False, True
    server = xllamacpp.Server(params)
    sys.stdout.write(f"{json.dumps(server.listening_address)}\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
