"""Which family a model is, and what it needs."""

import pytest

from workflows.errors import NotFound
from workflows.families import (
    Family,
    families,
    family,
    family_of_base_model,
    family_of_file,
    family_of_lora,
    family_of_pipeline,
    lora_fits,
)
from workflows.template import templates


@pytest.mark.parametrize(
    ("pipeline", "facts", "name"),
    [
        ("StableDiffusionPipeline", {"text_width": 768}, "sd15"),
        ("StableDiffusionPipeline", {"text_width": 1024}, "sd21"),
        ("StableDiffusionXLPipeline", {"text_width": 2048}, "sdxl"),
        ("StableDiffusion3Pipeline", {}, "sd35"),
        ("FluxPipeline", {"guidance_embeds": True}, "flux-dev"),
        ("FluxPipeline", {"guidance_embeds": False}, "flux-schnell"),
        ("StableDiffusionPipeline", {"text_width": 128}, "unknown"),
        ("SomethingNewPipeline", {}, "unknown"),
    ],
)
def test_a_diffusers_folder_gives_its_family_away(pipeline: str, facts: dict[str, int | bool], name: str) -> None:
    text_width, guidance = facts.get("text_width"), facts.get("guidance_embeds")
    found = family_of_pipeline(
        pipeline, text_width=text_width, guidance_embeds=guidance if isinstance(guidance, bool) else None
    )
    assert found.profile.name == name


def test_every_family_draws_at_a_size_that_it_accepts() -> None:
    for name, found in families().items():
        profile = found.profile
        assert profile.name == name
        assert profile.width % profile.multiple == profile.height % profile.multiple == 0
        assert max(profile.width, profile.height) <= found.largest


def test_flow_matching_families_take_no_bracket_weights() -> None:
    assert {"sd35", "flux-dev", "flux-schnell"} <= {name for name, found in families().items() if found.flow}
    assert not any(found.profile.weights for found in families().values() if found.flow)
    assert family("demo").profile.weights


def test_a_family_at_another_size_keeps_the_rest() -> None:
    sized = family("sd21").sized(512)
    assert (sized.profile.width, sized.profile.height) == (512, 512)
    assert sized.profile.but(width=768, height=768) == family("sd21").profile


def test_an_unknown_family_is_not_found_with_near_names() -> None:
    with pytest.raises(NotFound, match="Did you mean sd15"):
        family("sd1.5")


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("random-tiny-sd15", "sd15"),
        ("v1-5-pruned-emaonly-fp16", "sd15"),
        ("dreamshaper_8", "sd15"),
        ("Counterfeit-V3.0", "sd15-anime"),
        ("v2-1_768-ema-pruned", "sd21"),
        ("sd_xl_base_1.0", "sdxl"),
        ("XL/dreamshaperXL_v21", "sdxl"),
        ("animagineXL40", "sdxl"),
        ("dreamshaperXL_v21TurboDPMSDE", "sdxl-lightning"),
        ("sdxl_lightning_4step", "sdxl-lightning"),
        ("sd_xl_turbo_1.0_fp16", "sdxl-turbo"),
        ("ponyDiffusionV6XL_v6StartWithThisOne", "pony"),
        ("waiNSFWIllustrious_v140", "illustrious"),
        ("Illustrious-XL-v2.0", "illustrious"),
        ("noobaiXLNAIXL_epsilonPred11", "noobai"),
        ("noobaiXLNAIXL_vPred10Version", "noobai-vpred"),
        ("random-tiny-sd3", "sd35"),
        ("sd3_medium_incl_clips", "sd35"),
        ("sd3.5_large_fp8_scaled", "sd35-large"),
        ("sd3.5_large_turbo", "sd35-turbo"),
        ("sd3.5_medium", "sd35-medium"),
        ("flux1-dev-fp8", "flux-dev"),
        ("flux1-schnell", "flux-schnell"),
        ("flux1-krea-dev_fp8_scaled", "flux-krea"),
        ("flux1-fill-dev", "flux-fill"),
        ("flux1-dev-kontext_fp8_scaled", "flux-kontext"),
        ("flux2_dev_fp8mixed", "flux2-dev"),
        ("flux-2-klein-4b-fp8", "flux2-klein"),
        ("flux2_klein", "flux2-klein"),
        ("flux-2-klein-base-4b", "flux2-klein-base"),
        ("flux-2-klein-9b", "flux2-klein-9b"),
        ("flux-2-klein-base-9b", "flux2-klein-base-9b"),
        ("qwen_image_2512_bf16", "qwen-image"),
        ("qwen_image_edit_2511_fp8mixed", "qwen-image-edit"),
        ("z_image_turbo_bf16", "z-image-turbo"),
        ("Z-Image-bf16", "z-image"),
        ("Chroma1-HD", "chroma"),
        ("hidream_i1_fast_fp8", "hidream-fast"),
        ("hidream_i1_dev_fp8", "hidream-dev"),
        ("hidream_i1_full_fp8", "hidream-full"),
        ("wan2.2_t2v_high_noise_14B_fp8_scaled", "wan22-14b"),
        ("wan2.2_ti2v_5B_fp16", "wan22-5b"),
        ("wan2.1_t2v_1.3B_fp16", "wan21-1.3b"),
        ("wan2.1_i2v_480p_14B_bf16", "wan21-14b"),
        ("ltx-video-2b-v0.9.5", "ltx-video"),
        ("ltxv-2b-0.9.8-distilled", "ltx-video"),
        ("ltx-2.3-22b-distilled", "ltx2"),
        ("hunyuan_video_t2v_720p_bf16", "hunyuan-video"),
        ("hunyuanvideo1.5_720p_t2v_fp16", "hunyuan-video-15"),
        ("hunyuanimage2.1_bf16", "hunyuan-image"),
        ("hunyuan_dit_1.2", "hunyuan-dit"),
        ("krea2_turbo_fp8", "krea2"),
        ("sd_xl_refiner_1.0", "sdxl-refiner"),
        ("qwen_image_2.1_int8", "qwen-image-21"),
        ("qwen_image_layered_bf16", "qwen-image-layered"),
        ("flux1-depth-dev", "flux-control"),
        ("hidream_o1_image", "hidream-o1"),
        ("ponyV7_base", "pony-v7"),
        ("Chroma1-Radiance", "chroma-radiance"),
        ("playground-v2.5-1024px", "playground"),
        ("kandinsky5lite_t2i", "kandinsky5-image"),
        ("kandinsky5lite_t2v", "kandinsky5-video"),
        ("anima-preview", "anima"),
    ],
)
def test_a_files_name_gives_its_family_away(file: str, name: str) -> None:
    found, guessed = family_of_file("checkpoints", f"{file}.safetensors")
    assert (found.profile.name, guessed) == (name, False)


@pytest.mark.parametrize(
    ("metadata", "name"),
    [
        ({"modelspec.architecture": "stable-diffusion-v1"}, "sd15"),
        ({"modelspec.architecture": "stable-diffusion-xl-v1-base"}, "sdxl"),
        (
            {"modelspec.architecture": "stable-diffusion-xl-v1-base", "modelspec.title": "My Illustrious mix"},
            "illustrious",
        ),
        (
            {"modelspec.architecture": "stable-diffusion-xl-v1-base/lora", "ss_sd_model_name": "noobai.safetensors"},
            "noobai",
        ),
        ({"modelspec.architecture": "flux-1-dev"}, "flux-dev"),
        ({"modelspec.architecture": "flux-1-schnell"}, "flux-schnell"),
        ({"ss_base_model_version": "sd_v1"}, "sd15"),
    ],
)
def test_metadata_tells_more_than_a_name(metadata: dict[str, str], name: str) -> None:
    found, guessed = family_of_file("checkpoints", "z_image_by_its_name.safetensors", metadata=metadata)
    assert (found.profile.name, guessed) == (name, False)


@pytest.mark.parametrize(
    ("folder", "size", "name"),
    [
        ("checkpoints", 2_132_625_894, "sd15"),
        ("checkpoints", 4_265_380_512, "sd15"),
        ("checkpoints", 6_938_040_682, "sdxl"),
        ("checkpoints", None, "sdxl"),
        ("diffusion_models", 6_938_040_682, "unknown"),
    ],
)
def test_a_file_that_tells_nothing_is_guessed_by_its_size(folder: str, size: int | None, name: str) -> None:
    found, guessed = family_of_file(folder, "finalMix_v3.safetensors", size=size)
    assert (found.profile.name, guessed) == (name, True)


def test_a_lora_belongs_to_a_family_only_where_something_says_so() -> None:
    assert family_of_lora("detail.safetensors") is None
    known = family_of_lora("detail.safetensors", {"ss_base_model_version": "sdxl_base_v1-0"})
    assert known is not None
    assert known.kin == family("pony").kin == "sdxl"


def test_every_family_that_comfyui_draws_has_what_its_template_asks_for() -> None:
    for name, found in families().items():
        comfy = found.comfyui
        for template in filter(None, (comfy.checkpoint, comfy.split)):
            slots = templates()[template].slots
            assert ("shift" in slots) <= (comfy.shift > 0), name
        if comfy.split:
            assert templates()[comfy.split].encoders == len(comfy.clips), name
            wanted = {f"clip_{number}" for number, _ in enumerate(comfy.clips, 1)} | {"vae", "model"}
            assert wanted <= set(comfy.get), name
            assert comfy.vae, name


@pytest.mark.parametrize("name", ["sam3.1_multiplex_fp16.safetensors", "SAM3.pt", "sdpose_wholebody_fp16.safetensors"])
def test_a_checkpoint_that_finds_things_is_not_taken_for_one_that_draws(name: str) -> None:
    found, guessed = family_of_file("checkpoints", name, size=2_000_000_000)
    assert (found.profile.name, guessed) == ("unknown", False)


@pytest.mark.parametrize("name", ["samaritan_3d_xl.safetensors", "islam3nia_xl.safetensors"])
def test_a_name_that_only_looks_alike_still_draws(name: str) -> None:
    assert family_of_file("checkpoints", name)[0].profile.name == "sdxl"


def test_a_family_without_a_graph_of_ours_is_known_and_not_drawn() -> None:
    """Everything but what Atelier has a template for, and the demo model and unknown files."""
    drawn = {name: one for name, one in families().items() if one.templates}
    films = {name for name, one in drawn.items() if one.video}
    assert len(drawn) - len(films) == 32
    assert films == {*"svd hunyuan-video-15 wan22-5b wan22-14b wan21-1.3b wan21-14b ltx2 ltx-video".split()}
    assert {"minimax-h3", "cogvideox", "mochi"} <= {name for name, one in families().items() if one.video} - films


FILE_SLOTS = ("clip_1", "clip_2", "vae", "vision", "audio_vae", "enlarger", "quick", "model", "model_2")


def _with_its_forms(name: str) -> list[tuple[str, Family]]:
    one = families()[name]
    forms = [one.model_copy(update={"comfyui": form.of(one.comfyui)}) for form in one.forms]
    return [(f"{name} {number}", found) for number, found in enumerate((one, *forms))]


def test_every_file_of_a_video_is_looked_for_and_it_is_known_where_to_get_it() -> None:
    for name in (name for name, one in families().items() if one.video and one.templates):
        for said, found in _with_its_forms(name):
            comfyui = found.comfyui
            looked_for = {f"clip_{n}" for n, _ in enumerate(comfyui.clips, 1)} | set(comfyui.parts)
            looked_for |= {"model", "model_2"} | ({"vae"} if comfyui.vae else set[str]())
            for graph in (templates()[name] for name in comfyui.templates):
                wanted = set(FILE_SLOTS) & set(graph.slots)
                assert wanted <= looked_for, (said, graph.name)
                assert wanted <= set(comfyui.get), (said, graph.name)
            assert all(": " in source for source in comfyui.get.values()), said


def test_every_value_that_a_video_template_takes_is_known() -> None:
    known = {
        *FILE_SLOTS,
        *"weight_dtype clip_type shift positive negative width height frames fps seed steps cfg".split(),
    }
    known |= {*"sampler scheduler prefix switch start_image half_width half_height bucket whole_fps".split()}
    for name in (name for name, one in families().items() if one.video):
        for said, found in _with_its_forms(name):
            for graph in (templates()[name] for name in found.comfyui.templates):
                assert set(graph.slots) <= known | set(found.comfyui.values), (said, graph.name)


@pytest.mark.parametrize(
    ("file", "form"),
    [
        ("ltx-2-19b-dev-fp8", ("ltx2", 20, 4.0, 24.0)),
        ("ltx-2-19b-distilled", ("ltx2_distilled", 8, 1.0, 24.0)),
        ("ltx-2.3-22b-dev-fp8", ("ltx2_distilled", 8, 1.0, 25.0)),
        ("ltx-2.3-22b-distilled-1.1", ("ltx2_distilled", 8, 1.0, 25.0)),
        ("ltx-2.5-22b-distilled-transformer-comfy-int8-convrot", ("", 8, 1.0, 24.0)),
    ],
)
def test_a_form_differs_in_what_its_files_name_tells(file: str, form: tuple[str, int, float, float]) -> None:
    found = family("ltx2").of_file(f"{file}.safetensors")
    profile = found.profile
    assert (found.comfyui.checkpoint, profile.steps, profile.cfg, profile.fps) == form
    assert bool(found.comfyui.speeds) is (file == "ltx-2.3-22b-dev-fp8")


def test_a_file_without_a_form_is_as_its_family_is() -> None:
    assert family("wan22-14b").of_file("wan2.2_t2v_high_noise_14B.safetensors") is family("wan22-14b")


BASE_MODELS = """SD 1.4|SD 1.5|SD 1.5 LCM|SD 1.5 Hyper|SD 2.0|SD 2.0 768|SD 2.1|SD 2.1 768|SD 2.1 Unclip|SDXL 0.9
|SDXL 1.0
|SDXL 1.0 LCM|SDXL Lightning|SDXL Hyper|SDXL Turbo|SDXL Distilled|Pony|Pony V7|Illustrious|NoobAI|Playground v2
|Stable Cascade|SVD|SVD XT|SD 3|SD 3.5|SD 3.5 Medium|SD 3.5 Large|SD 3.5 Large Turbo|Flux.1 D|Flux.1 S|Flux.1 Krea
|Flux.1 Kontext|Flux.2 D|Flux.2 Klein 9B|Flux.2 Klein 9B-base|Flux.2 Klein 4B|Flux.2 Klein 4B-base|AuraFlow|Chroma
|HiDream|HiDream-O1|Hunyuan 1|Hunyuan Video|Lumina|PixArt a|PixArt E|Qwen|Qwen 2|ZImageTurbo|ZImageBase|Anima|Krea 2
|Lens
|Boogu|Ernie|Ernie Turbo|Ideogram 4.0|CogVideoX|Mochi|LTXV|LTXV2|LTXV 2.3|Wan Video|Wan Video 1.3B t2v|Wan Video 14B t2v
|Wan Video 14B i2v 480p|Wan Video 14B i2v 720p|Wan Video 2.2 TI2V-5B|Wan Video 2.2 I2V-A14B|Wan Video 2.2 T2V-A14B"""


def test_every_base_model_that_civitai_lists_is_one_families_own() -> None:
    listed = {label.strip() for label in BASE_MODELS.replace("\n", "").split("|")}
    claimed = [label for one in families().values() for label in one.base_models]
    assert len(claimed) == len(set(claimed))
    assert set(claimed) - listed == {"SDXL"}
    assert listed - set(claimed) == set()


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("SDXL 1.0", "sdxl"),
        ("sdxl 1.0", "sdxl"),
        ("ZImageTurbo", "z-image-turbo"),
        ("Z Image Turbo", "z-image-turbo"),
        ("Flux.1 D", "flux-dev"),
        ("flux1d", "flux-dev"),
        ("Flux.2 Klein 4B-base", "flux2-klein-base"),
        ("Pony V7", "pony-v7"),
        ("Wan Video 2.2 I2V-A14B", "wan22-14b"),
        ("sd35-medium", "sd35-medium"),
        ("black-forest-labs/FLUX.1-dev", "flux-dev"),
        ("SDXL 1.0 Something New", "sdxl"),
        ("Other", None),
        ("Upscaler", None),
        ("Imagen4", None),
        ("Kandinsky 3", None),
        ("demo", None),
        ("unknown", None),
        ("", None),
    ],
)
def test_a_label_means_a_family_whatever_its_spelling(label: str, name: str | None) -> None:
    assert family_of_base_model(label) == name


@pytest.mark.parametrize(
    ("lora", "model", "share"),
    [
        ("sdxl", "sdxl", 1.0),
        ("sdxl", "pony", 0.4),
        ("pony", "sdxl", 0.4),
        ("illustrious", "noobai", 0.9),
        ("sd15", "sdxl", 0.0),
        ("sd15", "sd15-anime", 0.9),
        ("flux-dev", "flux-schnell", 0.8),
        ("flux-dev", "chroma", 0.5),
        ("chroma", "flux-schnell", 0.0),
        ("flux", "flux-krea", 1.0),
        ("flux2-klein", "flux2-klein-9b", 0.0),
        ("flux2-klein", "flux2-dev", 0.0),
        ("sd35-medium", "sd35-large", 0.0),
        ("wan21-14b", "wan22-14b", 0.9),
        ("wan21-1.3b", "wan21-14b", 0.0),
        ("ltx-video", "ltx2", 0.0),
        ("z-image", "z-image-turbo", 0.8),
        ("qwen-image", "qwen-image-edit", 0.6),
        ("unknown", "sdxl", 0.0),
        ("unknown", "unknown", 0.0),
        ("nothing", "sdxl", 0.0),
    ],
)
def test_a_lora_does_as_well_as_its_family_is_near(lora: str, model: str, share: float) -> None:
    assert lora_fits(lora, model) == share


def test_what_is_said_of_loras_names_families_and_shares() -> None:
    for name, one in families().items():
        assert one.loras.keys() <= families().keys() - {name}, name
        assert all(0 <= share <= 1 for share in one.loras.values()), name


def test_every_drawn_family_has_its_licence_and_its_dialect() -> None:
    for name, one in families().items():
        assert one.dialect in {"tags", "phrases", "danbooru", "pony", "natural", "json", "xml"}, name
        assert one.licence or not (one.comfyui.checkpoint or one.comfyui.split), name
    assert {name for name, one in families().items() if "anime" in one.style} >= {"illustrious", "noobai", "sd15-anime"}
