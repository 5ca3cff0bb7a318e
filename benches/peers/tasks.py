"""The networks of examples/language_model, scenes and sequences in PyTorch, and their losses."""

import torch
from torch import nn
from torch.nn import functional as F


class GptBlock(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.output = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        batch, time, width = x.shape
        parts = self.qkv(self.norm1(x)).view(batch, time, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(*parts, is_causal=True)
        x = x + self.output(attended.transpose(1, 2).reshape(batch, time, width))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class Gpt(nn.Module):
    """Bytes and their next ones to a loss; the output has the embedding's weight."""

    def __init__(self, layers, width, context):
        super().__init__()
        self.embedding, self.positions = nn.Embedding(256, width), nn.Embedding(context, width)
        self.blocks = nn.ModuleList(GptBlock(width, width // 32) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def loss(self, windows):
        x = self.embedding(windows[:, :-1]) + self.positions.weight
        for block in self.blocks:
            x = block(x)
        logits = self.norm(x) @ self.embedding.weight.T
        return F.cross_entropy(logits.flatten(0, 1), windows[:, 1:].flatten())


class UnetBlock(nn.Sequential):
    def __init__(self, inputs, outputs):
        def conv(inputs):
            return [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]

        super().__init__(*conv(inputs), *conv(outputs))


class Unet(nn.Module):
    """Scenes and classes of their pixels to a loss."""

    def __init__(self, width, levels=4):
        super().__init__()
        widths = [width << level for level in range(levels)]
        self.down = nn.ModuleList(UnetBlock(inputs, outputs) for inputs, outputs in zip([1, *widths], widths))
        upper = list(reversed(range(levels - 1)))
        self.up = nn.ModuleList(nn.ConvTranspose2d(widths[at + 1], widths[at], 2, stride=2) for at in upper)
        self.joined = nn.ModuleList(UnetBlock(2 * widths[at], widths[at]) for at in upper)
        self.output = nn.Conv2d(width, 11, 1)

    def loss(self, batch):
        x, masks = batch
        levels = []
        for number, block in enumerate(self.down):
            x = block(F.max_pool2d(x, 2) if number else x)
            levels.append(x)
        for up, block, beside in zip(self.up, self.joined, reversed(levels[:-1])):
            x = block(torch.cat([beside, up(x)], 1))
        return F.cross_entropy(self.output(x), masks)


class Sequence(nn.Module):
    """Sequences of 40 numbers and their classes to a loss."""

    def __init__(self, width):
        super().__init__()
        sizes = [(1, 5), (width, 3), (width, 3)]
        layers = [(nn.Conv1d(inputs, width, kernel, 2, kernel // 2, bias=False), nn.BatchNorm1d(width), nn.ReLU(inplace=True)) for inputs, kernel in sizes]
        self.layers = nn.Sequential(*(part for layer in layers for part in layer), nn.Flatten(), nn.Linear(5 * width, 10))

    def loss(self, batch):
        sequences, labels = batch
        return F.cross_entropy(self.layers(sequences.unsqueeze(1)), labels)
