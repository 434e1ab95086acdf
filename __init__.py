"""Searches the block weights of SDXL LoRAs: the nodes and where their web files are."""

from .nodes.apply import ApplyBlockWeights, BlockWeightsToLBW
from .nodes.bake import SaveBakedLora
from .nodes.block_explorer import BlockExplorer
from .nodes.block_rules import MakeBlockRules
from .nodes.demo import TinySDXL
from .nodes.evaluate import BlockWeightsChoice, EvaluateBlockWeights
from .nodes.figures import PlotBlockWeights, SaveReport
from .nodes.hooks import BlockWeightsToHooks
from .nodes.load_lora import LoadLearnableLora, LoadLearnableStack
from .nodes.look_at_lora import LookAtLora
from .nodes.noise_and_loss import NoiseAndLoss
from .nodes.presets import LoadPreset, SavePreset
from .nodes.previews import SearchPreviews
from .nodes.results import LoadResult, SaveResult
from .nodes.search import SearchBlockWeights
from .nodes.settings import AdvancedSettings
from .nodes.stack import BlockWeightsToStack
from .nodes.strings import BlockWeightsToString
from .nodes.training_folder import TrainingImagesFromFolder
from .nodes.training_images import TrainingImages, TrainingLatents
from .nodes.training_options import TrainingImageOptions

NODE_CLASS_MAPPINGS = {
    "ApplSearchLoadLora": LoadLearnableLora,
    "ApplSearchLoadStack": LoadLearnableStack,
    "ApplSearchBlockRules": MakeBlockRules,
    "ApplSearchTrainingImages": TrainingImages,
    "ApplSearchTrainingFolder": TrainingImagesFromFolder,
    "ApplSearchTrainingLatents": TrainingLatents,
    "ApplSearchTrainingOptions": TrainingImageOptions,
    "ApplSearchSettings": AdvancedSettings,
    "ApplSearchNoiseAndLoss": NoiseAndLoss,
    "ApplSearchPreviews": SearchPreviews,
    "ApplSearchRun": SearchBlockWeights,
    "ApplSearchChoice": BlockWeightsChoice,
    "ApplSearchEvaluate": EvaluateBlockWeights,
    "ApplSearchToString": BlockWeightsToString,
    "ApplSearchApply": ApplyBlockWeights,
    "ApplSearchToLBW": BlockWeightsToLBW,
    "ApplSearchToStack": BlockWeightsToStack,
    "ApplSearchToHooks": BlockWeightsToHooks,
    "ApplSearchBake": SaveBakedLora,
    "ApplSearchSaveResult": SaveResult,
    "ApplSearchLoadResult": LoadResult,
    "ApplSearchSavePreset": SavePreset,
    "ApplSearchLoadPreset": LoadPreset,
    "ApplSearchPlot": PlotBlockWeights,
    "ApplSearchReport": SaveReport,
    "ApplSearchLook": LookAtLora,
    "ApplSearchBlockExplorer": BlockExplorer,
    "ApplSearchTinySDXL": TinySDXL,
}

NODE_DISPLAY_NAME_MAPPINGS = {
    "ApplSearchLoadLora": "Load LoRA (Learnable Blocks)",
    "ApplSearchLoadStack": "Load LoRA Stack (Learnable Blocks)",
    "ApplSearchBlockRules": "Block Rules",
    "ApplSearchTrainingImages": "Training Images",
    "ApplSearchTrainingFolder": "Training Images from Folder",
    "ApplSearchTrainingLatents": "Training Latents",
    "ApplSearchTrainingOptions": "Training Options",
    "ApplSearchSettings": "Search Settings (Advanced)",
    "ApplSearchNoiseAndLoss": "Noise and Loss (Advanced)",
    "ApplSearchPreviews": "Search Previews",
    "ApplSearchRun": "Search LoRA Block Weights",
    "ApplSearchChoice": "Block Weights Choice",
    "ApplSearchEvaluate": "Evaluate Block Weights",
    "ApplSearchToString": "Block Weights to String",
    "ApplSearchApply": "Apply Block Weights",
    "ApplSearchToLBW": "Block Weights to LBW_MODEL",
    "ApplSearchToStack": "Block Weights to LORA_STACK",
    "ApplSearchToHooks": "Block Weights to HOOKS",
    "ApplSearchBake": "Save LoRA with Block Weights",
    "ApplSearchSaveResult": "Save Block Weights",
    "ApplSearchLoadResult": "Load Block Weights",
    "ApplSearchSavePreset": "Save Block Weight Preset",
    "ApplSearchLoadPreset": "Load Block Weight Preset",
    "ApplSearchPlot": "Plot Block Weights",
    "ApplSearchReport": "Block Weights Report",
    "ApplSearchLook": "Look at LoRA",
    "ApplSearchBlockExplorer": "Block Explorer",
    "ApplSearchTinySDXL": "Tiny SDXL (Demo)",
}

WEB_DIRECTORY = "./web"

__all__ = ["NODE_CLASS_MAPPINGS", "NODE_DISPLAY_NAME_MAPPINGS", "WEB_DIRECTORY"]
