"""The pictures that a search compares the model with: images and captions, or latents and conditioning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .captions import check_caption, first_line, one_for_each, weighs_words
from .conditioning import example
from .frames import Frame
from .options import TrainingOptions
from .pictures import Example, InMemory, Picture
from .pixels import checked, checked_mask, without_alpha

_NO_ALPHA = (64, 64)  # the size of the mask that ComfyUI's Load Image gives of a picture without alpha


@dataclass(frozen=True)
class TrainingSet:
    """Pictures and encoded examples, in the order they were given.

    ``notes`` says in words what was done to the images.
    """

    items: tuple[Picture | Example, ...] = ()
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.items)

    def __add__(self, other: TrainingSet) -> TrainingSet:
        return TrainingSet(self.items + other.items, self.notes + other.notes)

    @property
    def remarks(self) -> list[str]:
        """All that a user should read: what was done to the images, and what may be wrong with their sizes and captions."""
        return [*self.notes, *filter(None, (self.size_note, self.bracket_note))]

    @property
    def size_note(self) -> str | None:
        """What to say when some of the pictures have far fewer or more pixels than SDXL was trained with."""
        pictures = [item for item in self.items if isinstance(item, Picture)]
        far = [picture for picture in pictures if picture.frame.is_far_from_sdxl]
        if not far:
            return None
        width, height = far[0].frame.kept
        return (
            f"{len(far)} of {len(pictures)} images {'is' if len(far) == 1 else 'are'} far from the 1024x1024 pixels that SDXL "
            f"was trained at; the first of them has {width}x{height}. The training options width and height bring images to that size."
        )

    @property
    def bracket_note(self) -> str | None:
        """What to say of captions in which brackets weigh words: kohya's trainers read them as text."""
        weighing = [item for item in self.items if isinstance(item, Picture) and weighs_words(item.version().prompt)]
        if not weighing:
            return None
        return (
            f"Brackets weigh words in {len(weighing)} of {len(self.items)} captions, as in ComfyUI's prompts. With the training option "
            "literal they are text, as for kohya's trainers."
        )

    def epoch(self) -> list[int]:
        """Positions of the items as often as each comes in an epoch, before they are shuffled.

        Regularisation pictures are balanced against the others as kohya's trainers do: see :func:`balanced`.
        """
        repeats = [item.repeats for item in self.items]
        regular = [position for position in range(len(self)) if self.is_regularisation(position)]
        wanted = sum(repeats) - sum(repeats[position] for position in regular)
        for position, count in zip(regular, balanced(wanted, [repeats[position] for position in regular])):
            repeats[position] = count
        return [position for position, count in enumerate(repeats) for _ in range(count)]

    def is_regularisation(self, position: int) -> bool:
        """Whether an item is there to keep what the model can, not to be come close to."""
        item = self.items[position]
        return isinstance(item, Picture) and item.options.regularisation

    @classmethod
    def from_images(
        cls,
        images: Tensor | Sequence[Tensor],
        captions: str | Sequence[str],
        masks: Tensor | Sequence[Tensor] | None = None,
        options: TrainingOptions = TrainingOptions(),
    ) -> TrainingSet:
        """Images as ComfyUI has them, [n, h, w, 3] in 0..1 (or several such batches), and their captions.

        One caption serves all images. Images whose sides are no multiples of 8 are cropped centrally, unless
        ``options`` bring them to another size. One channel is taken as grey; a fourth is alpha, for which ``options``
        say what it means. ``masks`` [n, h, w] in 0..1: what counts in the loss, one for each image or one for all; a
        mask of another size is brought to the image's.
        Raises ValueError with the image's number for no image, an image under 64 pixels, pixels or a mask outside 0..1,
        a caption that no tokenizer reads, or a number of captions or masks that is neither one nor that of the images.
        """
        pictures = _each(images, 4)
        if not pictures:
            raise ValueError("There is no training image. Connect at least one.")
        captions = one_for_each([captions] if isinstance(captions, (str, bytes)) else captions, len(pictures))
        made = []
        notes: list[str] = []
        for number, (pixels, caption, mask) in enumerate(zip(pictures, captions, _masks(masks, len(pictures))), 1):
            name = f"training image {number}"
            caption = check_caption(caption, name, options.literal).strip()
            image, alpha = checked(pixels, name)
            frame = Frame.of((image.shape[1], image.shape[0]), options.chooser, name)
            if mask is not None:
                mask = _usable(mask, name)
            if frame.note:
                notes.append(f"Image {number} {frame.note}")
            if alpha is not None:
                image, mask, note = without_alpha(image, alpha, mask, options.alpha)
                notes.append(f"Image {number} {note}")
            made.append(Picture(InMemory(image, mask), caption, frame, name, options, options.repeats))
        return cls(tuple(made), tuple(notes))

    @classmethod
    def from_latents(cls, latent: dict | Sequence[dict], conditioning: Sequence) -> TrainingSet:
        """A LATENT ({"samples": [n, 4, h, w]}) and CONDITIONING ([[context, {"pooled_output": ...}], ...]), or lists of both.

        One conditioning entry serves all latents. Sizes in the conditioning (CLIPTextEncodeSDXL) are
        kept, else the latent's own size counts. A noise mask of the latent is its mask. Raises ValueError for shapes that
        do not fit, NaN values, or conditioning without a pooled output or with parts that a search cannot serve.
        """
        if isinstance(latent, Mapping):
            latent, conditioning = [latent], [conditioning]
        samples, masks = [], []
        for batch in latent:
            samples += _latents(batch["samples"])
            masks += _masks(batch.get("noise_mask"), len(batch["samples"]), "latents")
        entries = [entry for each in conditioning for entry in each]
        entries *= len(samples) if len(entries) == 1 else 1
        if len(entries) != len(samples):
            raise ValueError(
                f"There are {len(entries)} conditioning entries for {len(samples)} latents. Give one for each, or a "
                "single one for all."
            )
        return cls(tuple(example(*each, number) for number, each in enumerate(zip(samples, entries, masks), 1)))


def balanced(others: int, repeats: Sequence[int]) -> list[int]:
    """How often each regularisation picture comes in an epoch with ``others`` other ones (sd-scripts, DreamBoothDataset).

    First each as often as ``repeats`` say, until there are as many as others; those after that are left out. Then one
    more of each in turn, until there are. Without others there is nothing to balance against.
    """
    if not others:
        return list(repeats)
    counts, total = [0] * len(repeats), 0
    for position, count in enumerate(repeats):
        if total >= others:
            break
        counts[position] = count
        total += count
    for step in range(max(others - total, 0) if repeats else 0):
        counts[step % len(counts)] += 1
    return counts


def captions_of(texts: Sequence[str], options: TrainingOptions) -> list[str]:
    """Captions that come as whole texts, one for each picture: their first lines, unless ``options`` use all lines."""
    return [
        text.removeprefix("\ufeff") if options.all_lines or options.wildcards else first_line(text) for text in texts
    ]


def _each(batches: Tensor | Sequence[Tensor], dimensions: int) -> list[Tensor]:
    """The images or masks in one batch or several; one with a dimension less is a batch of one."""
    batches = [batches] if isinstance(batches, Tensor) else list(batches)
    return [one for batch in batches for one in (batch if batch.ndim == dimensions else batch[None])]


def _latents(samples: Tensor) -> list[Tensor]:
    if samples.ndim != 4 or samples.shape[1] != 4 or not samples.numel():
        raise ValueError(f"The LATENT has shape {tuple(samples.shape)}, expected (n, 4, h, w) from an SDXL VAE.")
    if not torch.isfinite(samples).all():
        raise ValueError("The LATENT has NaN or infinite values. Check the image and the VAE it came from.")
    return list(samples)


def _masks(masks: Tensor | Sequence[Tensor] | None, images: int, of: str = "images") -> list[Tensor | None]:
    if masks is None:
        return [None] * images
    if isinstance(masks, Tensor) and masks.ndim == 4:  # a noise mask has a channel
        masks = masks[:, 0]
    each = _each(masks, 3)
    each *= images if len(each) == 1 else 1
    if len(each) != images:
        raise ValueError(f"There are {len(each)} masks for {images} {of}. Give one for each, or a single one for all.")
    return each


def _usable(mask: Tensor, name: str) -> Tensor | None:
    """None for the placeholder that ComfyUI's Load Image gives of a picture without alpha."""
    return None if tuple(mask.shape) == _NO_ALPHA and not mask.any() else checked_mask(mask, name)
