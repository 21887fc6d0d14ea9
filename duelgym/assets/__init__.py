"""What comes with the package: the embedded language model, its recorded candidates, and its reward model."""

from pathlib import Path

_FOLDER = Path(__file__).parent
LANGUAGE_MODEL = _FOLDER / "language_model"
REWARD_MODEL = _FOLDER / "reward_model"
POOL = _FOLDER / "pool"
PROMPTS = _FOLDER / "prompts.txt"
PROJECTION = POOL / "projection.safetensors"
TEMPERATURE, TOP_P = 0.8, 0.95
GENERATOR = {
    "name": "transformers",
    "model": "embedded",
    "temperature": TEMPERATURE,
    "top_p": TOP_P,
    "pooling": "both",
    "projection": "embedded",
}
"""How the recorded candidates were generated, and how ``LLMDuelLive-v0`` generates its own."""
