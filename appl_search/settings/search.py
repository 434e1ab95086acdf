"""The settings of a search."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields

from .declaration import ADVANCED, LOADER, NOISE, SEARCH, Switch, check, require, setting

METHODS = ("gauss-newton", "adamw")
LR_SCHEDULES = ("constant", "cosine")
LOSS_TYPES = ("l2", "l1", "huber", "smooth_l1")
HUBER_SCHEDULES = ("snr", "exponential", "constant")
USE_BOUNDS = Switch("use_bounds", help="Keep every rate between minimum and maximum.")


@dataclass(frozen=True, kw_only=True)
class SearchSettings:
    """Settings of one search. Bad values raise ValueError with the field, the value and what is allowed.

    A sample is one draw of an image, a timestep and noise. A new setting goes to the end of its group, with
    ``added_later``: saved workflows know widgets by their position.
    """

    method: str = setting(
        "gauss-newton",
        help="gauss-newton needs the fewest samples. adamw is the published algorithm.",
        group=SEARCH, choices=METHODS,
    )  # fmt: skip
    samples: int = setting(
        320,
        help="How often the model is asked to denoise a training image, at most: gauss-newton stops earlier when more would "
        "hardly help. 320 are enough for one LoRA; give two or more LoRAs some 500.",
        group=SEARCH, minimum=1, widget={"max": 1_000_000},
    )  # fmt: skip
    penalty: float = setting(
        1e-4,
        help="Price of each rate's size in the loss. More switches off more blocks; 0 searches for the lowest loss alone.",
        group=SEARCH, minimum=0, step=0.00001, widget={"max": 1.0},
    )  # fmt: skip
    seed: int = setting(
        0,
        help="Of the noise and timesteps. The same seed, model and images give the same result.",
        group=SEARCH, minimum=0, maximum=2**64 - 1, widget={"control_after_generate": True},
    )  # fmt: skip
    choose_penalty: bool = setting(
        False,
        help="Let the search choose the penalty: the one whose block weights are best for images that they were not made with. "
        "Against rates that fit a few images too well. With gauss-newton only, from two images on.",
        group=SEARCH, added_later=True,
    )  # fmt: skip
    batch_size: int = setting(
        16,
        help="Samples in one step. Less needs less memory; more makes each step surer, and fewer of them.",
        group=ADVANCED, minimum=1, widget={"max": 1024},
    )  # fmt: skip
    negative_penalty: float = setting(
        10.0,
        help="How much more the penalty weighs on negative rates, on top of its weight on all: 10 makes them cost 11 times "
        "as much.",
        group=ADVANCED, minimum=0, step=0.1, widget={"max": 1000.0},
    )  # fmt: skip
    minimum: float | None = setting(
        None,
        help="The lowest rate allowed.",
        group=ADVANCED, switch=USE_BOUNDS, step=0.01, widget={"default": 0.0, "min": -10.0, "max": 10.0},
    )  # fmt: skip
    maximum: float | None = setting(
        None,
        help="The highest rate allowed.",
        group=ADVANCED, switch=USE_BOUNDS, step=0.01, widget={"default": 1.0, "min": -10.0, "max": 10.0},
    )  # fmt: skip
    min_snr_gamma: float | None = setting(
        None,
        help="Weights the loss of each timestep by min-SNR-gamma, as trainers do (5 is usual). 0: no weighting.",
        group=ADVANCED, above=0, none_as=0.0, step=0.1, widget={"min": 0.0, "max": 100.0},
    )  # fmt: skip
    learning_rate: float = setting(
        0.1,
        help="The learning rate, of the method adamw only.",
        group=ADVANCED, above=0, step=0.0001, widget={"min": 0.0001, "max": 10.0},
    )  # fmt: skip
    lr_schedule: str = setting(
        "cosine",
        help="How the learning rate goes over the search: falling to 0 along a cosine, or constant. Of the method adamw only.",
        group=ADVANCED, choices=LR_SCHEDULES,
    )  # fmt: skip
    weight_decay: float = setting(
        0.0,
        help="Pull of every rate towards 0. Of the method adamw only.",
        group=ADVANCED, minimum=0, step=0.001, widget={"max": 1.0},
    )  # fmt: skip
    tolerance: float = setting(
        5e-4,
        help="gauss-newton stops before its samples are used up when more of them can be expected to lower the loss by less "
        "than this part of it. 0: never.",
        group=ADVANCED, minimum=0, step=0.0001, added_later=True, widget={"max": 0.1, "round": False},
    )  # fmt: skip
    validation: int = setting(
        64,
        help="Fresh samples on which adamw compares its last rates with the mean of the later ones, and takes the better. "
        "0: the last ones. Of the method adamw only.",
        group=ADVANCED, minimum=0, added_later=True, widget={"max": 10000},
    )  # fmt: skip
    held_out: float | None = setting(
        None,
        help="Part of the images that is kept out of the search, to see at its end whether what was found is better for images "
        "that it has not seen. -1: one in five from 10 images on. None are kept out of fewer than 5.",
        group=ADVANCED, minimum=0, maximum=0.5, none_as=-1.0, step=0.05, added_later=True, widget={"min": -1.0},
    )  # fmt: skip
    comparison: int = setting(
        64,
        help="Fresh samples on which what was found is compared with no LoRA, with strength 1, with the start and with the best "
        "single strengths; at most as many as the search used. 0: no comparison.",
        group=ADVANCED, minimum=0, added_later=True, widget={"max": 100_000},
    )  # fmt: skip
    ablation: int = setting(
        0,
        help="Fresh samples on which the loss is measured with each block at 0 and at 1: which block does what, also by groups of "
        "images. Each sample takes the time of some 12 samples of the search for a LoRA of 20 blocks. 0: from what the search "
        "knows anyway (gauss-newton only).",
        group=ADVANCED, minimum=0, added_later=True, widget={"max": 100_000},
    )  # fmt: skip
    check_gradient: bool = setting(
        True,
        help="Before the first step, compare the gradient with finite differences, for the time of some four samples: a "
        "patch on the MODEL that lets no gradient through would give wrong rates.",
        group=ADVANCED, added_later=True,
    )  # fmt: skip
    min_timestep: int = setting(
        0,
        help="The least noisy timestep that is drawn, of 1000. The late ones of a picture's making, below some 300, are its details.",
        group=NOISE, minimum=0, maximum=999,
    )  # fmt: skip
    max_timestep: int = setting(
        1000,
        help="Only timesteps below this one are drawn, of 1000. The early ones of a picture's making, above some 700, are its "
        "composition.",
        group=NOISE, minimum=1, maximum=1000,
    )  # fmt: skip
    noise_offset: float = setting(
        0.0,
        help="Adds noise that is the same all over a channel, so many times as strong: for models trained with it, which "
        "know very dark and very bright pictures (0.0357 is usual). 0: none.",
        group=NOISE, minimum=0, maximum=1, step=0.0001,
    )  # fmt: skip
    noise_offset_random_strength: bool = setting(False, help="Each sample has a random part of noise_offset.", group=NOISE)
    adaptive_noise_scale: float = setting(
        0.0,
        help="Adds so many times the mean of each channel of the image to noise_offset, where that is not 0.",
        group=NOISE, minimum=-10, maximum=10, step=0.0001,
    )  # fmt: skip
    multires_noise_iterations: int = setting(
        0,
        help="Adds noise of so many lower resolutions: for models trained with it (6 is usual). 0: none.",
        group=NOISE, minimum=0, maximum=64,
    )  # fmt: skip
    multires_noise_discount: float = setting(
        0.3,
        help="How strong each lower resolution of multires_noise_iterations is beside the one before.",
        group=NOISE, minimum=0, maximum=1, step=0.01,
    )  # fmt: skip
    ip_noise_gamma: float = setting(
        0.0,
        help="The image gets more noise than the network is told, so many times as much (0.1 is usual): input perturbation.",
        group=NOISE, minimum=0, maximum=10, step=0.01,
    )  # fmt: skip
    ip_noise_gamma_random_strength: bool = setting(False, help="Each sample has a random part of ip_noise_gamma.", group=NOISE)
    loss_type: str = setting(
        "l2",
        help="How errors count: by their square (l2), by their size (l1), or by their square as long as they are small (huber, "
        "smooth_l1), which cares less for what no rate can mend.",
        group=NOISE, choices=LOSS_TYPES,
    )  # fmt: skip
    huber_schedule: str = setting(
        "snr",
        help="How the size from which on an error is large depends on the timestep, for huber and smooth_l1.",
        group=NOISE, choices=HUBER_SCHEDULES,
    )  # fmt: skip
    huber_c: float = setting(
        0.1,
        help="That size: at all timesteps (constant), or at the noisiest (snr, exponential).",
        group=NOISE, above=0, maximum=1, step=0.001, widget={"min": 0.001},
    )  # fmt: skip
    huber_scale: float = setting(
        1.0,
        help="Multiplies that size, but for the schedule snr.",
        group=NOISE, above=0, maximum=100, step=0.01, widget={"min": 0.01},
    )  # fmt: skip
    debiased_estimation_loss: bool = setting(
        False, help="Noisier timesteps count more: by the root of noise to signal (debiased estimation).", group=NOISE
    )
    scale_v_pred_loss_like_noise_pred: bool = setting(
        False, help="Timesteps count as they would if the network predicted noise. For models with v-prediction.", group=NOISE
    )
    v_pred_like_loss: float = setting(
        0.0,
        help="Adds so many times what the loss would be if the network predicted v. For models that predict noise.",
        group=NOISE, minimum=0, maximum=100, step=0.01,
    )  # fmt: skip
    init: float = setting(
        0.5,
        help="The rate that the search starts from in every block, and the LoRA's strength until then.",
        group=LOADER, step=0.01, widget={"min": -10.0, "max": 10.0},
    )  # fmt: skip

    def __post_init__(self) -> None:
        check(self)
        if self.minimum is not None and self.maximum is not None:
            require(self, "minimum", self.minimum <= self.maximum, f"a number of at most maximum ({self.maximum})")
        require(self, "min_timestep", self.min_timestep < self.max_timestep, f"less than max_timestep ({self.max_timestep})")

    @property
    def steps(self) -> int:
        """Number of batches; the last one is smaller when ``samples`` is no multiple of ``batch_size``."""
        return -(-self.samples // self.batch_size)

    @property
    def levels(self) -> tuple[float, float]:
        """The range of timesteps as a part of 0..1, as :class:`appl_search.gradients.draws.Draws` takes it."""
        return self.min_timestep / 1000, self.max_timestep / 1000

    @classmethod
    def from_dict(cls, data: dict) -> SearchSettings:
        """The inverse of :meth:`to_dict`; ValueError for a setting that there is not."""
        if unknown := set(data) - {field.name for field in fields(cls)}:
            raise ValueError(f"SearchSettings: there is no setting named {', '.join(sorted(unknown))}.")
        return cls(**data)

    def to_dict(self) -> dict:
        return asdict(self)
