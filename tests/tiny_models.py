"""Language and reward models of a few thousand random weights, made where a test needs them; imported by path."""

from __future__ import annotations

from pathlib import Path

TEXTS = (
    "Write three facts about the octopus, briefly.",
    "An octopus has three hearts and eight arms. It lives in the sea.",
    "Explain to a child how bread is made. Be kind.",
    "Bread is made of flour, water, salt and yeast. The dough rises and is baked.",
    "Give me a polite note about the moon in one sentence.",
    "The moon goes round the Earth in about a month, and always shows the same face.",
)

CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def make_model(
    folder: Path,
    *,
    seed: int = 0,
    hidden: int = 32,
    layers: int = 2,
    context: int = 256,
    chat_template: str | None = CHAT_TEMPLATE,
    generation: dict[str, object] | None = None,
) -> Path:
    """Save a random Llama with a byte-level BPE tokenizer of about 300 tokens; return the folder.

    Args:
        folder: where to put it; made if need be.
        seed: of the weights.
        hidden: units of a hidden state, a multiple of 4.
        layers: of the transformer.
        context: positions.
        chat_template: None: the tokenizer has none.
        generation: written to generation_config.json, such as ``{"do_sample": True}``.
    """
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    special = ["<|pad|>", "<|end|>", "<|user|>", "<|assistant|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    bpe.train_from_iterator(TEXTS, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        pad_token="<|pad|>",
        eos_token="<|end|>",
        additional_special_tokens=special[2:],
        model_max_length=context,
    )
    tokenizer.chat_template = chat_template
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=context,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
        tie_word_embeddings=True,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config).eval()
        for weights in model.parameters():
            if weights.ndim == 2:  # the library's small weights would make all tokens nearly equally likely
                weights.data *= 8.0
    if generation is not None:
        model.generation_config = GenerationConfig.from_dict({**model.generation_config.to_dict(), **generation})
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def make_reward_model(folder: Path, *, seed: int = 0) -> Path:
    """Save a random sequence classifier with one label, a Llama with the same tokenizer; return the folder."""
    import torch
    from transformers import AutoConfig, AutoTokenizer, LlamaForSequenceClassification

    make_model(folder, seed=seed)
    config = AutoConfig.from_pretrained(folder)
    config.num_labels = 1
    tokenizer = AutoTokenizer.from_pretrained(folder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForSequenceClassification(config)
        for weights in model.parameters():
            if weights.ndim == 2:
                weights.data *= 8.0
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
