"""Golden numbers of a small GPT in PyTorch, for tests/golden/gpt.rs.

    python tests/golden/make_gpt.py

Needs torch and safetensors (2.15 and 0.8 made the files). Writes gpt.safetensors, the weights, with the output tied to the embedding, and gpt.json: windows of
bytes, and for the tied and the untied net logits, the loss of each window, and gradients of their mean. Float32 on one CPU thread.

The net is PyTorch's own layers: `nn.TransformerEncoderLayer` with `norm_first` and a causal mask for the blocks.
"""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

HERE = Path(__file__).parent
LAYERS, WIDTH, HEADS, CONTEXT, VOCABULARY = 2, 16, 4, 12, 256


class Gpt(nn.Module):
    def __init__(self, tied):
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, WIDTH)
        self.positions = nn.Embedding(CONTEXT, WIDTH)
        block = {"d_model": WIDTH, "nhead": HEADS, "dim_feedforward": 4 * WIDTH, "dropout": 0.0}
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(**block, activation=F.gelu, batch_first=True, norm_first=True) for _ in range(LAYERS)
        )
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, VOCABULARY, bias=False)
        if tied:
            self.head.weight = self.embedding.weight

    def forward(self, tokens):
        time = tokens.shape[1]
        hidden = self.embedding(tokens) + self.positions.weight[:time]
        mask = nn.Transformer.generate_square_subsequent_mask(time)
        for block in self.blocks:
            hidden = block(hidden, src_mask=mask, is_causal=True)
        return self.head(self.norm(hidden))


def name(of):
    """A parameter's name in the example's model."""
    names = {
        "self_attn.in_proj_": "attention.qkv.",
        "self_attn.out_proj.": "attention.output.",
        "linear1.": "up.",
        "linear2.": "down.",
    }
    for theirs, ours in names.items():
        of = of.replace(theirs, ours)
    return of


def flat(tensor):
    return [float(str(x)) for x in tensor.detach().numpy().reshape(-1)]


def measured(model, windows):
    logits = model(windows[:, :-1])
    losses = F.cross_entropy(logits.transpose(1, 2), windows[:, 1:], reduction="none").mean(1)
    losses.mean().backward()
    return {
        # Every seventh: the file stays small.
        "logits": flat(logits.reshape(-1)[::7]),
        "losses": flat(losses),
        "gradients": {name(of): flat(parameter.grad.reshape(-1)[::5]) for of, parameter in model.named_parameters()},
    }


def main():
    torch.set_num_threads(1)
    torch.manual_seed(3)
    tied, untied = Gpt(True), Gpt(False)
    with torch.no_grad():
        for parameter in untied.parameters():
            # Larger than a model begins with, so that attention is not flat.
            parameter.add_(0.3 * torch.randn_like(parameter))
        untied.embedding.weight.mul_(0.3)
        untied.positions.weight.mul_(0.3)
    state = untied.state_dict()
    tied.load_state_dict({**state, "head.weight": state["embedding.weight"]})
    windows = torch.randint(0, VOCABULARY, (3, CONTEXT + 1))
    found = {"windows": windows.reshape(-1).tolist(), "tied": measured(tied, windows), "untied": measured(untied, windows)}
    (HERE / "gpt.json").write_text(json.dumps(found, separators=(",", ":")) + "\n")
    save_file({name(of): tensor.contiguous() for of, tensor in state.items()}, str(HERE / "gpt.safetensors"))


if __name__ == "__main__":
    main()
