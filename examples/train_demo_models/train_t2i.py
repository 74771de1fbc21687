"""Train the text-to-image model: a UNet over 16x16 latents and its text encoder.

    python train_t2i.py --minutes 75 --vae VAE_DIR --clip CLIP_DIR --out T2I_DIR [--init T2I_DIR]

From scratch the text encoder is the text tower of the trained judge. `--init` continues from a pipeline folder.
The result is an ordinary StableDiffusionPipeline folder in half precision.
"""

from __future__ import annotations

import argparse
import copy
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from captions import GENERATOR_WORDING, flawed, outside_caption, plural, training_caption
from common import Average, Budget, Every, library, log, render_batch, replace_folder, start
from latents import encode
from scenes import GENERATOR_MIX, SHAPES, Facts, Mix, sample_scene
from text_tower import continued_text_encoder, converted_text_encoder
from tokenizer import CONTEXT, open_clip_tokenizer, pipeline_tokenizer
from torch.nn import functional

SCHEDULE: dict[str, Any] = {
    "num_train_timesteps": 1000, "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear",
    "prediction_type": "v_prediction", "rescale_betas_zero_snr": True, "timestep_spacing": "trailing",
    "clip_sample": False, "set_alpha_to_one": True, "steps_offset": 1,
}  # fmt: skip
UNET: dict[str, Any] = {
    "sample_size": 16, "in_channels": 4, "out_channels": 4, "block_out_channels": (64, 128), "layers_per_block": 1,
    "norm_num_groups": 16, "cross_attention_dim": 128, "attention_head_dim": 4,
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
}  # fmt: skip


@dataclass
class Cache:
    """Latents of scenes and, for each, the tokens of several captions; the last caption is the empty one."""

    latents: torch.Tensor  # [scenes, 4, 16, 16] half
    tokens: torch.Tensor  # [scenes, captions, CONTEXT] int16


def training_text(facts: Facts, rng: random.Random) -> str:
    """What a scene is trained with: mostly a caption, sometimes nothing that helps."""
    u = rng.random()
    if u < 0.045:
        return ""
    if u < 0.09:
        return flawed(rng)
    if u < 0.11:
        return outside_caption(rng, facts).text
    if facts.count > 1 and u < 0.15:
        noun = plural(SHAPES[facts.shape])
        return ", ".join([f"multiple {noun}", flawed(rng), f"two {noun}"][: rng.randint(1, 3)])
    return training_caption(facts, rng, GENERATOR_WORDING).text


def tokens_of(texts: Sequence[str], tokenizer: Any) -> torch.Tensor:
    """Token rows as the pipeline makes them: start, words, and the end token up to the full length."""
    rows = np.full((len(texts), CONTEXT), tokenizer.eot_token_id, np.int16)
    rows[:, 0] = tokenizer.sot_token_id
    for row, text in zip(rows, texts, strict=True):
        ids = tokenizer.encode(text)[: CONTEXT - 2]
        row[1 : 1 + len(ids)] = ids
    return torch.from_numpy(rows)


def build_cache(vae: Any, tokenizer: Any, size: int, mix: Mix, rng: random.Random, captions: int = 4) -> Cache:
    """Draw `size` scenes, encode them and write their captions."""
    latents: list[torch.Tensor] = []
    tokens: list[torch.Tensor] = []
    for _ in range(0, size, 250):
        scenes = [sample_scene(rng, mix) for _ in range(250)]
        latents.append(encode(vae, render_batch(scenes, rng)).half())
        texts = [training_text(scene.facts, rng) for scene in scenes for _ in range(captions)]
        tokens.append(tokens_of(texts, tokenizer).view(250, captions, CONTEXT))
    return Cache(torch.cat(latents), torch.cat(tokens))


class Trainer:
    """One training run; `step` trains on one batch, `save` writes the averaged weights as a pipeline."""

    def __init__(self, unet: Any, text_encoder: Any, vae: Any, tokenizer: Any, learns_words: bool) -> None:
        unet.set_attn_processor(library("diffusers.models.attention_processor").AttnProcessor())
        self.unet = unet.to(memory_format=torch.channels_last).train()
        self.text_encoder, self.vae, self.tokenizer = text_encoder.train(), vae, tokenizer
        self.learns_words = learns_words
        self.scheduler = library("diffusers").DDIMScheduler(**SCHEDULE)
        groups: list[dict[str, Any]] = [{"params": list(unet.parameters()), "weight_decay": 0.01, "scale": 1.0}]
        if learns_words:
            groups.append({"params": list(text_encoder.parameters()), "weight_decay": 0.01, "scale": 0.25})
        self.parameters: list[torch.nn.Parameter] = [p for group in groups for p in group["params"]]
        self.optimizer = torch.optim.AdamW(groups, lr=0.0, betas=(0.9, 0.98))
        self.average = Average(self.parameters, 0.9985)

    def loss(self, latents: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """The velocity error at random times spread evenly over the schedule."""
        size = len(latents)
        times = ((torch.arange(size) + torch.rand(size)) / size * 1000).long().clamp(0, 999)
        alpha = self.scheduler.alphas_cumprod[times].view(-1, 1, 1, 1)
        noise = torch.randn_like(latents)
        noisy = alpha.sqrt() * latents + (1 - alpha).sqrt() * noise
        velocity = alpha.sqrt() * noise - (1 - alpha).sqrt() * latents
        with torch.autocast("cpu", torch.bfloat16):
            with torch.set_grad_enabled(self.learns_words):
                states = self.text_encoder(tokens).last_hidden_state
            predicted = self.unet(noisy.contiguous(memory_format=torch.channels_last), times, states).sample
        return functional.mse_loss(predicted.float(), velocity)

    def step(self, cache: Cache, batch: int) -> float:
        rows = torch.randint(0, len(cache.latents), (batch,))
        choice = torch.randint(0, cache.tokens.shape[1], (batch,))
        loss = self.loss(cache.latents[rows].float(), cache.tokens[rows, choice].long())
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        self.average.update()
        return loss.item()

    def save(self, target: Path, half: bool) -> None:
        """Write the averaged weights, atomically, in half or full precision."""
        made = target.with_name(target.name + ".new")

        def write() -> None:
            parts = [copy.deepcopy(part).to(memory_format=torch.contiguous_format).eval()
                     for part in (self.unet, self.text_encoder, self.vae)]  # fmt: skip
            unet, text_encoder, vae = [part.half() for part in parts] if half else parts
            library("diffusers").StableDiffusionPipeline(
                vae=vae,
                text_encoder=text_encoder,
                tokenizer=self.tokenizer,
                unet=unet,
                scheduler=self.scheduler,
                safety_checker=None,
                feature_extractor=None,
                requires_safety_checker=False,
            ).save_pretrained(made)

        self.average.swapped(write)
        replace_folder(made, target)


def load_parts(args: argparse.Namespace) -> tuple[Any, Any, Any]:
    """UNet and text encoder, new or continued, and the autoencoder whose latents are learnt."""
    diffusers = library("diffusers")
    vae = diffusers.AutoencoderTiny.from_pretrained(args.vae, torch_dtype=torch.float32).eval()
    bpe = args.clip / "bpe.txt.gz"
    if args.init is None:
        return diffusers.UNet2DConditionModel(**UNET), converted_text_encoder(args.clip), vae
    unet = diffusers.UNet2DConditionModel.from_pretrained(args.init, subfolder="unet", torch_dtype=torch.float32)
    return unet, continued_text_encoder(args.init, args.init_bpe or bpe, bpe), vae


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=75)
    parser.add_argument("--vae", type=Path, required=True, help="folder of the autoencoder")
    parser.add_argument("--clip", type=Path, required=True, help="folder of the judge, for its vocabulary")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--init", type=Path, help="pipeline folder to continue from")
    parser.add_argument("--init-bpe", type=Path, help="bpe.txt.gz that goes with --init, if it was a shorter one")
    parser.add_argument("--scenes", type=int, default=60000)
    parser.add_argument("--batch", type=int, default=48)
    parser.add_argument("--rate", type=float, default=8e-4)
    parser.add_argument("--hold", type=float, default=0.35, help="share of the time before the rate falls")
    parser.add_argument("--floor", type=float, default=0.02)
    parser.add_argument("--single", type=float, default=GENERATOR_MIX.single)
    parser.add_argument("--shapes", type=float, nargs=len(SHAPES), default=GENERATOR_MIX.shapes)
    parser.add_argument("--sizes", type=float, nargs=3, default=GENERATOR_MIX.sizes)
    parser.add_argument("--freeze-text", action="store_true", help="leave the text encoder as it is, which is faster")
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def main() -> None:
    args = options()
    rng = start(args.seed, args.threads)
    bpe = args.clip / "bpe.txt.gz"
    unet, text_encoder, vae = load_parts(args)
    mix = replace(GENERATOR_MIX, single=args.single, shapes=tuple(args.shapes), sizes=tuple(args.sizes))
    cache = build_cache(vae, open_clip_tokenizer(bpe), args.scenes, mix, rng)
    log.info("%d scenes cached, latents' deviation %.3f", len(cache.latents), cache.latents[:2000].float().std())
    trainer = Trainer(unet, text_encoder, vae, pipeline_tokenizer(bpe), not args.freeze_text)
    budget, report, checkpoint = Budget(args.minutes, args.rate, args.hold, args.floor, 100), Every(60), Every(480)
    loss = 0.0
    while budget.done < 1:
        budget.step(trainer.optimizer)
        now = trainer.step(cache, args.batch)
        loss = now if budget.steps == 1 else 0.98 * loss + 0.02 * now
        if report() or budget.steps == 20:
            log.info(
                "%d steps, %.0f pictures/s, loss %.4f", budget.steps, budget.steps * args.batch / budget.elapsed, loss
            )
        if checkpoint():
            trainer.save(args.out.with_name(args.out.name + "_checkpoint"), half=False)
    trainer.save(args.out, half=True)
    trainer.save(args.out.with_name(args.out.name + "_full"), half=False)
    log.info("done: %d steps, %d pictures, loss %.4f", budget.steps, budget.steps * args.batch, loss)


if __name__ == "__main__":
    main()
