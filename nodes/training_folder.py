"""The node that reads training images from a folder of files."""

from __future__ import annotations

from ..appl_search import TrainingOptions, TrainingSet, read_training_set
from .support import training_folders
from .support.files import cache_folder
from .support.training import OPTIONS, PREVIOUS, CollectsTrainingImages, appended

#: What is done about files that cannot be read.
STOP, LEAVE_OUT = "stop", "leave out"


class TrainingImagesFromFolder(CollectsTrainingImages):
    """Picture files with caption files beside them, after the images of other nodes."""

    DESCRIPTION = (
        "The images of a folder in ComfyUI's input folder, with captions from the .txt or .caption files beside them. Reads the "
        "folders (10_name), metadata and dataset files (.toml) of kohya's trainers too."
    )
    SEARCH_ALIASES = ["dataset", "training set", "image folder", "kohya dataset", "load folder"]
    FUNCTION = "read"

    @classmethod
    def INPUT_TYPES(cls) -> dict:
        return {
            "required": {
                "folder": (training_folders.names(), {"tooltip": "A folder or a dataset file (.toml) in ComfyUI's input folder, or in one that extra_model_paths.yaml names training_images."}),
                "sub_folders": ("BOOLEAN", {"default": True, "tooltip": "Images in folders inside it count too. One called 10_name has its images ten times, with the name as the caption of those without one."}),
                "broken": ([STOP, LEAVE_OUT], {"default": STOP, "tooltip": "What happens at a file that cannot be read: an error that names it, or the image is left out and named in the node."}),
                "metadata": ("STRING", {"default": "", "tooltip": "A .json or .jsonl file of kohya's tools, by its path inside the folder. Captions come from there, and images that it does not name do not count. Empty: captions come from the files beside the images."}),
            },
            "optional": {
                "previous": PREVIOUS,
                "options": OPTIONS,
            },
        }  # fmt: skip

    @classmethod
    def IS_CHANGED(cls, folder: str, **_) -> str:
        return training_folders.fingerprint(folder)

    def read(
        self,
        folder: str,
        sub_folders: bool,
        broken: str,
        metadata: str,
        previous: TrainingSet | None = None,
        options: TrainingOptions = TrainingOptions(),
    ) -> dict:
        path = training_folders.path_of(folder)
        added = read_training_set(
            path,
            options,
            metadata=path / metadata.strip() if metadata.strip() else None,
            sub_folders=sub_folders,
            skip_broken=broken == LEAVE_OUT,
            check_path=training_folders.check,
            cache_folder=cache_folder(),
        )
        return appended(previous, added)
