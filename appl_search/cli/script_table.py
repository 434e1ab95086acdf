"""The options of kohya-ss's train_network_appl_weights.py: what each is called here, or what to use instead.

sd-scripts, branch nw_application_weights, and those that its SDXL trainer got later. An option that this program has under the
same name is not in the table: it is taken as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Renamed:
    """The same under another name."""

    ours: str


@dataclass(frozen=True)
class Already:
    """What a search does anyway, so the option changes nothing. ``only``: the values that this is true of; () for any."""

    why: str
    only: tuple[str, ...] = ()


@dataclass(frozen=True)
class Changed:
    """The same in other words. ``change`` makes arguments of the values; ``ours`` names the options for people.

    ``early``: they go to the front, where options that are given by name override them.
    """

    ours: str
    change: Callable[[Sequence[str]], list[str]]
    early: bool = False


@dataclass(frozen=True)
class Refused:
    """Without a meaning here. ``instead``: what to do."""

    instead: str


Meaning = Renamed | Already | Changed | Refused

_LEAVE = "Leave it out: "
_HOST = Refused(_LEAVE + "ComfyUI chooses it, by its own options and the machine.")
_UPLOAD = Refused(_LEAVE + "nothing is uploaded; the files are in --output.")
_EACH_STEP = Refused(_LEAVE + "the logs have the rates of every step, and the state is saved every 30 seconds.")
_ADAMW = Refused("Use --method adamw with --learning-rate, --lr-schedule and --weight-decay, or --method gauss-newton.")
_NOT_ON_PICTURES = Refused(_LEAVE + "it changes the pictures that the rates are to be found for. --flip and --random-crop are there.")
_NO_WEIGHTS = Refused(_LEAVE + "no weight is trained; rates are 20 numbers for each LoRA, in fp32.")
_SPREAD = Refused(_LEAVE + "start several processes with accelerate launch or torchrun; docs/processes.md says how.")
_SHOWN = Refused(_LEAVE + "notes and progress go to stderr, results to stdout; send them to a file with 2> and >.")
_AT_THE_END = Refused(_LEAVE + "what was found is compared once, at the end: on the images of --held-out, with --comparison samples.")
_WHERE_IT_WAS = Refused("Use --resume: a state knows its step, and what is drawn after it.")
_NO_METADATA = Refused(_LEAVE + "what is saved says how it came about by itself.")
_BY_ENVIRONMENT = Refused("Set it as W&B itself reads it: WANDB_API_KEY, WANDB_PROJECT, WANDB_NAME.")
_SAMPLERS = {
    "ddim": "ddim", "euler": "euler", "k_euler": "euler", "euler_a": "euler_ancestral", "k_euler_a": "euler_ancestral",
    "heun": "heun", "dpm_2": "dpm_2", "k_dpm_2": "dpm_2", "dpm_2_a": "dpm_2_ancestral", "k_dpm_2_a": "dpm_2_ancestral",
    "lms": "lms", "k_lms": "lms", "dpmsolver++": "dpmpp_2m",
}  # fmt: skip


def _resolution(values: Sequence[str]) -> list[str]:
    """The script makes buckets only with --enable_bucket, and has limits of its own for them."""
    sides = [side.strip() for value in values for side in value.split(",") if side.strip()]
    if len(sides) not in (1, 2) or not all(side.isdigit() for side in sides):
        raise ValueError(f"--resolution is {' '.join(values)!r}, expected 1024 or 1024,1024.")
    return ["--width", sides[0], "--height", sides[-1], "--no-buckets", "--smallest", "256", "--largest", "1024", "--step", "64"]


def _one_of(option: str, names: dict[str, list[str]]) -> Callable[[Sequence[str]], list[str]]:
    """A function that knows these values only; each stands for arguments of ours."""

    def change(values: Sequence[str]) -> list[str]:
        value = " ".join(values)
        if value.lower() not in names:
            raise ValueError(f"--{option} {value} has no meaning for a search. Expected {', '.join(names)}.")
        return names[value.lower()]

    return change


SCRIPT: dict[str, Meaning] = {
    # Models
    "pretrained_model_name_or_path": Renamed("model"),
    "v2": Refused(_LEAVE + "models of SD 2 are not searched."),
    "v_parameterization": Refused(_LEAVE + "ComfyUI finds v-prediction in the checkpoint, by its key v_pred."),
    "tokenizer_cache_dir": Refused(_LEAVE + "the tokenizer comes with the program."),
    "no_half_vae": Renamed("fp32-vae"),
    "clip_skip": Refused(_LEAVE + "SDXL's own layer is used, as the script does for SDXL."),
    "mixed_precision": Changed("--dtype", _one_of("mixed_precision", {"no": ["--dtype", "fp32"], "fp16": ["--dtype", "fp16"], "bf16": ["--dtype", "bf16"]})),
    "full_fp16": Changed("--dtype fp16", lambda values: ["--dtype", "fp16"]),
    "full_bf16": Changed("--dtype bf16", lambda values: ["--dtype", "bf16"]),
    "fp8_base": _HOST,
    "lowram": _HOST,
    "highvram": _HOST,
    "fp8_base_unet": _HOST,
    "cpu_offload_checkpointing": _HOST,
    "disable_mmap_load_safetensors": _HOST,
    "mem_eff_attn": _HOST,
    "xformers": _HOST,
    "sdpa": _HOST,
    "torch_compile": _HOST,
    "dynamo_backend": _HOST,
    # LoRAs
    "network_weights": Renamed("lora"),
    "network_module": Already("files say themselves what they are", ("networks.lora",)),
    "network_train_unet_only": Refused("Use --fix BASE=0 to keep the text encoders out."),
    "network_train_text_encoder_only": Refused("Use --fix for the U-Net's blocks, such as --fix MID=0."),
    "dim_from_weights": Already("ranks are read from the files"),
    "network_dim": Already("ranks are read from the files"),
    "network_alpha": Already("alphas are read from the files"),
    "network_args": Refused(_LEAVE + "files say themselves what they are and which layers they have."),
    "network_dropout": Refused(_LEAVE + "nothing of a LoRA is dropped; its rates are for the whole of it."),
    "scale_weight_norms": Refused(_LEAVE + "the LoRAs' own weights never change. --minimum and --maximum bound the rates."),
    "base_weights": Renamed("base-lora"),
    "base_weights_multiplier": Renamed("base-strength"),
    # The objective and the method
    "application_loss_weight": Renamed("penalty"),
    "zero_terminal_snr": Refused(_LEAVE + "the noise levels are the model's own; ComfyUI finds them in the checkpoint, and its node ModelSamplingDiscrete sets them."),
    "optimizer_type": Changed("--method adamw", _one_of("optimizer_type", {"adamw": ["--method", "adamw"]})),
    "use_8bit_adam": _ADAMW,
    "use_lion_optimizer": _ADAMW,
    "optimizer_args": _ADAMW,
    "max_grad_norm": Refused(_LEAVE + "gradients are not clipped."),
    "lr_scheduler": Changed("--lr-schedule", _one_of("lr_scheduler", {name: ["--lr-schedule", name] for name in ("constant", "cosine")})),
    "lr_scheduler_type": _ADAMW,
    "lr_scheduler_args": _ADAMW,
    "lr_scheduler_num_cycles": _ADAMW,
    "lr_scheduler_power": _ADAMW,
    "lr_warmup_steps": _ADAMW,
    "lr_decay_steps": _ADAMW,
    "lr_scheduler_min_lr_ratio": _ADAMW,
    "lr_scheduler_timescale": _ADAMW,
    "unet_lr": Refused("Use --learning-rate: there is one for all blocks."),
    "text_encoder_lr": Refused("Use --learning-rate: there is one for all blocks. --fix BASE=0 keeps the text encoders out."),
    "fused_backward_pass": _NO_WEIGHTS,
    "fp16_master_weights_and_gradients": _NO_WEIGHTS,
    "max_train_steps": Renamed("max-steps"),
    "max_train_epochs": Renamed("max-epochs"),
    "train_batch_size": Renamed("batch-size"),
    "gradient_accumulation_steps": Refused("Give --batch-size times as much: a batch is computed in as many parts as memory asks for."),
    "gradient_checkpointing": Already("it is switched on when memory asks for it"),
    "validation_split": Renamed("held-out"),
    "validation_seed": Refused(_LEAVE + "which images --held-out keeps out follows from --seed."),
    "validate_every_n_steps": _AT_THE_END,
    "validate_every_n_epochs": _AT_THE_END,
    "max_validation_steps": _AT_THE_END,
    # Pictures and captions
    "train_data_dir": Renamed("images"),
    "reg_data_dir": Renamed("regularisation-images"),
    "dataset_config": Renamed("images"),
    "in_json": Renamed("metadata"),
    "conditioning_data_dir": Renamed("masks"),
    "masked_loss": Already("masks count wherever there are some"),
    "alpha_mask": Changed("--alpha mask", lambda values: ["--alpha", "mask"]),
    "cache_info": Refused(_LEAVE + "the folder is looked through anew each time, so that nothing of it is stale."),
    "dataset_class": Refused("Give --images a folder or a dataset file."),
    "dataset_repeats": Renamed("repeats"),
    "prior_loss_weight": Renamed("prior-weight"),
    "resolution": Changed("--width --height", _resolution, early=True),
    "enable_bucket": Renamed("buckets"),
    "min_bucket_reso": Renamed("smallest"),
    "max_bucket_reso": Renamed("largest"),
    "bucket_reso_steps": Renamed("step"),
    "bucket_no_upscale": Renamed("no-upscale"),
    "resize_interpolation": Refused(_LEAVE + "images shrink by the mean over areas and grow by Lanczos, as the script's do without this option."),
    "flip_aug": Renamed("flip"),
    "color_aug": _NOT_ON_PICTURES,
    "face_crop_aug_range": _NOT_ON_PICTURES,
    "caption_extention": Renamed("caption-extension"),
    "shuffle_caption": Renamed("shuffle"),
    "caption_separator": Renamed("separator"),
    "enable_wildcard": Renamed("wildcards"),
    "keep_tokens_separator": Renamed("keep-separator"),
    "caption_prefix": Renamed("prefix"),
    "caption_suffix": Renamed("suffix"),
    "caption_dropout_rate": Renamed("dropout"),
    "caption_dropout_every_n_epochs": Refused("Use --dropout, which leaves out captions by chance."),
    "caption_tag_dropout_rate": Renamed("tag-dropout"),
    "token_warmup_min": Refused(_LEAVE + "all tags count from the start; --tag-dropout leaves some out."),
    "token_warmup_step": Refused(_LEAVE + "all tags count from the start; --tag-dropout leaves some out."),
    "weighted_captions": Changed("--no-literal", lambda values: ["--no-literal"]),
    "max_token_length": Renamed("max-tokens"),
    "cache_latents": Already("pictures are encoded once"),
    "cache_latents_to_disk": Renamed("disk-cache"),
    "vae_batch_size": Refused(_LEAVE + "pictures are encoded one by one, once."),
    "cache_text_encoder_outputs": Already("captions are encoded once, unless a LoRA's text encoders are searched"),
    "cache_text_encoder_outputs_to_disk": Renamed("disk-cache"),
    "skip_cache_check": Refused(_LEAVE + "what --disk-cache keeps is found by what it was made of, so that nothing of it is stale."),
    "max_data_loader_n_workers": Refused(_LEAVE + "pictures are read once, by several threads."),
    "persistent_data_loader_workers": Refused(_LEAVE + "pictures are read once, by several threads."),
    "debug_dataset": Refused("Use --dry-run."),
    # What is written
    "output_dir": Renamed("output"),
    "output_name": Renamed("name"),
    "save_model_as": Already("rates are saved as safetensors", ("safetensors",)),
    "use_safetensors": Already("rates are saved as safetensors"),
    "save_precision": Refused(_LEAVE + "rates are saved in fp32."),
    "save_state": Already("the state is saved every 30 seconds"),
    "save_every_n_epochs": _EACH_STEP,
    "save_every_n_steps": _EACH_STEP,
    "save_n_epoch_ratio": _EACH_STEP,
    "save_last_n_epochs": _EACH_STEP,
    "save_last_n_epochs_state": _EACH_STEP,
    "save_last_n_steps": _EACH_STEP,
    "save_last_n_steps_state": _EACH_STEP,
    "save_state_on_train_end": Refused(_LEAVE + "a search that has ended needs no state; its result has all that was found."),
    "logging_dir": Refused(_LEAVE + "logs are in --output; --log-with tensorboard writes there, too."),
    "log_prefix": _BY_ENVIRONMENT,
    "log_tracker_name": _BY_ENVIRONMENT,
    "log_tracker_config": _BY_ENVIRONMENT,
    "wandb_run_name": _BY_ENVIRONMENT,
    "wandb_api_key": _BY_ENVIRONMENT,
    "log_config": Refused(_LEAVE + "what is saved has all settings."),
    "console_log_level": _SHOWN,
    "console_log_file": _SHOWN,
    "console_log_simple": _SHOWN,
    "metadata_title": _NO_METADATA,
    "metadata_author": _NO_METADATA,
    "metadata_description": _NO_METADATA,
    "metadata_license": _NO_METADATA,
    "metadata_tags": _NO_METADATA,
    "metadata_usage_hint": _NO_METADATA,
    "metadata_thumbnail": _NO_METADATA,
    "metadata_merged_from": _NO_METADATA,
    "metadata_trigger_phrase": _NO_METADATA,
    "metadata_preprocessor": _NO_METADATA,
    "metadata_is_negative_embedding": _NO_METADATA,
    "training_comment": _NO_METADATA,
    "no_metadata": _NO_METADATA,
    "huggingface_repo_id": _UPLOAD,
    "huggingface_repo_type": _UPLOAD,
    "huggingface_path_in_repo": _UPLOAD,
    "huggingface_token": _UPLOAD,
    "huggingface_repo_visibility": _UPLOAD,
    "save_state_to_huggingface": _UPLOAD,
    "resume_from_huggingface": _UPLOAD,
    "async_upload": _UPLOAD,
    # Preview pictures
    "sample_prompts": Renamed("preview-prompts"),
    "sample_sampler": Changed("--preview-sampler", _one_of("sample_sampler", {theirs: ["--preview-sampler", ours] for theirs, ours in _SAMPLERS.items()})),
    "sample_every_n_steps": Refused("Use --preview-every, which counts samples: steps times --batch-size."),
    "sample_every_n_epochs": Refused("Use --preview-every, which counts samples."),
    "sample_at_first": Already("there is always a picture at the start"),
    # The rest
    "config_file": Renamed("config"),
    "output_config": Refused(_LEAVE + "what is saved has all settings."),
    "initial_epoch": _WHERE_IT_WAS,
    "initial_step": _WHERE_IT_WAS,
    "skip_until_initial_step": _WHERE_IT_WAS,
    "ddp_timeout": Refused(_LEAVE + "processes wait for each other for 30 minutes."),
    "ddp_gradient_as_bucket_view": Refused(_LEAVE + "gradients are kilobytes; nothing is put in buckets."),
    "ddp_static_graph": Refused(_LEAVE + "gradients are kilobytes; nothing is put in buckets."),
    "deepspeed": _SPREAD,
    "zero_stage": _SPREAD,
    "zero3_init_flag": _SPREAD,
    "zero3_save_16bit_model": _SPREAD,
    "offload_optimizer_device": _SPREAD,
    "offload_optimizer_nvme_path": _SPREAD,
    "offload_param_device": _SPREAD,
    "offload_param_nvme_path": _SPREAD,
}  # fmt: skip
