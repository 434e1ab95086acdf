"""Nodes that keep strings of block weights under names, in the form that the Inspire Pack has for its presets."""

from __future__ import annotations

from ..appl_search.weights.formats.inspire_presets import PresetFile
from .support.common import CATEGORY, SavesAFile, shown
from .support.preset_files import INSPIRE, PLACES, preset_files, preset_names, preset_path


class SavePreset(SavesAFile):
    """Writes a line into a file of presets."""

    DESCRIPTION = (
        "Saves a string of block weights under a name: in ComfyUI's user folder, or in the Inspire Pack's own file, where its nodes "
        "list it. All other lines of the file stay as they are."
    )
    SEARCH_ALIASES = ["lbw preset", "save preset", "inspire preset", "block weight preset"]

    @classmethod
    def INPUT_TYPES(cls) -> dict:
        return {
            "required": {
                "string": ("STRING", {"multiline": True, "default": "", "tooltip": "From Block Weights to String in the format inspire or inspire-preset, or written by hand: numbers with commas between them."}),
                "name": ("STRING", {"default": "", "tooltip": "What to find it by. Empty: the name in front of the string's ':', as the format inspire-preset has it."}),
                "place": (list(PLACES), {"tooltip": "ComfyUI's user folder, or the Inspire Pack's lbw-preset.custom.txt, where that pack is installed."}),
                "replace": ("BOOLEAN", {"default": False, "tooltip": "Write other numbers under a name that is taken."}),
            },
        }  # fmt: skip

    def save(self, string: str, name: str, place: str, replace: bool) -> dict:
        own, colon, vector = string.strip().rpartition(":")
        path, name = preset_path(place), name.strip() or own.strip()
        if not name:
            raise ValueError("The preset has no name. Write one, or give a string in the format inspire-preset.")
        if place == INSPIRE and not name.isascii():
            raise ValueError(f"{name!r} has letters that the Inspire Pack cannot read on every system. Expected A-Z, digits and the like, or the user folder as the place.")
        file = PresetFile.read(path).with_preset(name, vector, replace)
        file.save(path)
        warnings = [f"{path}, {damage}" for damage in file.damaged]
        return shown((str(path),), [f"Saved {name} in {path}. Refresh the page (R) to see it in lists."], warnings)


class LoadPreset:
    """Reads a line of the files of presets."""

    CATEGORY = CATEGORY
    DESCRIPTION = (
        "Gives the string of a preset, for the text of Apply Block Weights or for Inspire's block_vector: your own presets, those of "
        "the Inspire Pack's custom file, and those that it comes with."
    )
    SEARCH_ALIASES = ["lbw preset", "load preset", "inspire preset", "block weight preset"]
    RETURN_TYPES = ("STRING",)
    RETURN_NAMES = ("string",)
    OUTPUT_TOOLTIPS = ("The preset's numbers.",)
    FUNCTION = "load"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> dict:
        tooltip = "Your own presets, then those of the Inspire Pack. A preset fits LoRAs that have the same blocks as the one it was made for."
        return {"required": {"preset": (preset_names(), {"tooltip": tooltip})}}

    @classmethod
    def IS_CHANGED(cls, preset: str) -> str:
        return next((file.presets[preset] for _, file in preset_files() if preset in file.presets), "")

    def load(self, preset: str) -> dict:
        files = preset_files()
        found = [(path, file.presets[preset]) for path, file in files if preset in file.presets]
        warnings = [f"{path}, {damage}" for path, file in files for damage in file.damaged]
        if not found:
            raise ValueError(f"There is no preset {preset!r} any more. Refresh the page (R) and choose another one. {' '.join(warnings)}".strip())
        (path, string), *others = found
        warnings += [f"{other} has a preset of this name with other numbers." for other, text in others if text != string]
        return shown((string,), [string, f"From {path}"], warnings)
