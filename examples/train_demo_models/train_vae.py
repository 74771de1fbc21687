"""Train the autoencoder: pictures of 128 x 128 to latents of 4 x 16 x 16 and back.

    python train_vae.py --minutes 30 --out VAE_DIR [--init VAE_DIR] [--teacher VAE_DIR] [--t2i T2I_DIR]

With `--teacher` the latents are those of a given autoencoder (which may be for smaller pictures, then it sees them
downsampled): the encoder learns to give them too, and a UNet trained on them stays usable. With `--t2i` half of the
latents the decoder sees are what that pipeline makes of them when it denoises them, so that the decoder learns to
draw a clean shape from a generated, slightly lumpy one.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path
from typing import Any

import torch
from captions import GENERATOR_WORDING, training_caption
from common import Average, Budget, Every, library, log, render_batch, replace_folder, start
from latents import encode
from scenes import Scene, sample_scene
from torch.nn import functional
from train_t2i import tokens_of

CONFIG: dict[str, Any] = {
    "in_channels": 3, "out_channels": 3, "latent_channels": 4, "scaling_factor": 1.0,
    "encoder_block_out_channels": (16,) * 4, "num_encoder_blocks": (0, 1, 1, 1),
    "decoder_block_out_channels": (32,) * 4, "num_decoder_blocks": (4, 3, 2, 0),
}  # fmt: skip


def picture_loss(made: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Mean error of the colours and of their steps from pixel to pixel, which keeps edges sharp."""
    error = made - wanted
    steps_x, steps_y = error[..., 1:] - error[..., :-1], error[..., 1:, :] - error[..., :-1, :]
    return error.abs().mean() + 2 * error.square().mean() + 0.5 * (steps_x.abs().mean() + steps_y.abs().mean())


class Disturber:
    """Makes latents like generated ones: adds noise up to a random time and lets the UNet take it away again."""

    def __init__(self, pipeline: Path, rng: random.Random) -> None:
        pipe = library("diffusers").StableDiffusionPipeline.from_pretrained(
            str(pipeline), dtype=torch.float32, local_files_only=True
        )
        pipe.unet.set_attn_processor(library("diffusers.models.attention_processor").AttnProcessor())
        self.unet = pipe.unet.to(memory_format=torch.channels_last).eval()
        self.text_encoder, self.alphas = pipe.text_encoder.eval(), pipe.scheduler.alphas_cumprod
        self.tokenizer, self.rng = _Words(pipeline), rng

    @torch.no_grad()
    def __call__(self, latents: torch.Tensor, scenes: list[Scene]) -> torch.Tensor:
        texts = [training_caption(scene.facts, self.rng, GENERATOR_WORDING).text for scene in scenes]
        with torch.autocast("cpu", torch.bfloat16):
            states = self.text_encoder(tokens_of(texts, self.tokenizer).long()).last_hidden_state
        times = torch.randint(50, 720, (len(latents),))
        noise, clean = torch.randn_like(latents), latents
        for part in (1.0, 0.6, 0.3):
            now = (times * part).long()
            alpha = self.alphas[now].view(-1, 1, 1, 1)
            noisy = (alpha.sqrt() * clean + (1 - alpha).sqrt() * noise).contiguous(memory_format=torch.channels_last)
            with torch.autocast("cpu", torch.bfloat16):
                velocity = self.unet(noisy, now, states).sample.float()
            clean = alpha.sqrt() * noisy - (1 - alpha).sqrt() * velocity
            noise = (1 - alpha).sqrt() * noisy + alpha.sqrt() * velocity
        return clean


class _Words:
    """The tokenizer of a saved pipeline with the interface `tokens_of` asks for."""

    def __init__(self, pipeline: Path) -> None:
        tokenizer = library("tokenizers").Tokenizer.from_file(str(pipeline / "tokenizer" / "tokenizer.json"))
        self.tokenizer = tokenizer
        self.eot_token_id = tokenizer.token_to_id("<|endoftext|>")
        self.sot_token_id = tokenizer.token_to_id("<|startoftext|>")

    def encode(self, text: str) -> list[int]:
        return self.tokenizer.encode(text, add_special_tokens=False).ids


class Trainer:
    """One training run over fresh pictures."""

    def __init__(self, vae: Any, teacher: Any | None, disturb: Disturber | None, rng: random.Random) -> None:
        self.vae = vae.to(memory_format=torch.channels_last).train()
        self.teacher, self.disturb, self.rng = teacher, disturb, rng
        self.optimizer = torch.optim.AdamW(vae.parameters(), lr=0.0, betas=(0.9, 0.99), weight_decay=1e-4)
        self.average = Average(list(vae.parameters()), 0.998)

    def encoded(self, pictures: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return self.vae.encoder(pictures).float()

    def decoder_input(self, latents: torch.Tensor, scenes: list[Scene]) -> torch.Tensor:
        """The latents with noise, half of them remade by the generator if there is one."""
        given = latents + torch.randn_like(latents) * 0.06
        if self.disturb is None:
            return given
        half, factor = len(latents) // 2, self.vae.config.scaling_factor
        made = self.disturb(latents[:half].detach() * factor, scenes[:half]) / factor
        return torch.cat([made, given[half:]])

    def step(self, batch: int, with_encoder: bool) -> tuple[float, float]:
        """Train on one batch; gives the picture error and the latent error (or regularizer)."""
        scenes = [sample_scene(self.rng) for _ in range(batch)]
        pictures = render_batch(scenes, self.rng)
        aside = torch.zeros(())
        if self.teacher is None:
            latents = self.encoded(pictures)
            means, spreads = latents.mean((0, 2, 3)), latents.var((0, 2, 3))
            aside = 0.02 * (means.square().mean() + spreads.add(1e-6).log().square().mean())
        else:
            latents = encode(self.teacher, pictures) / self.vae.config.scaling_factor
            if with_encoder:
                aside = functional.smooth_l1_loss(self.encoded(pictures), latents)
        given = self.decoder_input(latents, scenes).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            made = self.vae.decoder(given)
        loss = picture_loss(made.float(), pictures)
        self.optimizer.zero_grad()
        (loss + aside).backward()
        torch.nn.utils.clip_grad_norm_(self.vae.parameters(), 1.0)
        self.optimizer.step()
        self.average.update()
        return loss.item(), aside.item()

    def save(self, target: Path) -> None:
        """Write the averaged weights in full precision, atomically."""
        made = target.with_name(target.name + ".new")
        self.average.swapped(lambda: self.vae.save_pretrained(made))
        replace_folder(made, target)


def loaded(folder: Path) -> Any:
    return library("diffusers").AutoencoderTiny.from_pretrained(folder, torch_dtype=torch.float32)


def settle_scale(vae: Any, rng: random.Random) -> None:
    """Write the factor into the configuration that gives latents a deviation of one."""
    pictures = render_batch([sample_scene(rng) for _ in range(256)], rng)
    vae.register_to_config(scaling_factor=1 / (encode(vae, pictures).std().item() / vae.config.scaling_factor))


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--init", type=Path, help="autoencoder to continue from")
    parser.add_argument("--teacher", type=Path, help="autoencoder whose latents are to be kept")
    parser.add_argument("--t2i", type=Path, help="pipeline that makes imperfect latents")
    parser.add_argument("--encoder-every", type=int, default=4, help="with --teacher: train the encoder every n steps")
    parser.add_argument("--batch", type=int, default=24)
    parser.add_argument("--rate", type=float, default=2.5e-3)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def main() -> None:
    args = options()
    rng = start(args.seed, args.threads)
    teacher = loaded(args.teacher).eval() if args.teacher else None
    vae = loaded(args.init) if args.init else library("diffusers").AutoencoderTiny(**CONFIG)
    if teacher is not None:
        vae.register_to_config(scaling_factor=teacher.config.scaling_factor)
    trainer = Trainer(vae, teacher, Disturber(args.t2i, rng) if args.t2i else None, rng)
    budget, report, checkpoint = Budget(args.minutes, args.rate), Every(30), Every(300)
    loss = aside = 0.0
    while budget.done < 1:
        budget.step(trainer.optimizer)
        now, other = trainer.step(args.batch, budget.steps % args.encoder_every == 0)
        loss, aside = 0.97 * loss + 0.03 * now, other or aside
        if report() or budget.steps == 20:
            log.info("%d steps, %.0f pictures/s, loss %.4f, latents %.5f", budget.steps,
                     budget.steps * args.batch / budget.elapsed, loss, aside)  # fmt: skip
        if checkpoint():
            trainer.save(args.out)
    trainer.save(args.out)
    if teacher is None:
        final = loaded(args.out).eval()
        settle_scale(final, rng)
        final.save_pretrained(args.out)
    log.info("done: %d steps, %d pictures, loss %.4f", budget.steps, budget.steps * args.batch, loss)


if __name__ == "__main__":
    main()
