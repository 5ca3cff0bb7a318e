"""Golden numbers of timm's vision transformers, for tests/golden/deit.rs.

    python tests/golden/make_deit.py

Needs torch, timm and safetensors (2.15 and 1.0.31 made them). Writes deit.json, and a timm checkpoint as deit.safetensors and as deit.pth, beside this
script. Float32 on one CPU thread.

The weights are not in the file: both sides compute them from their names and positions by an integer hash, `number`
below, so that DeiT-Tiny and -Small can be compared whole.
"""

import argparse
import json
import zlib
from pathlib import Path

import numpy as np
import timm
import torch
from safetensors.torch import save_file
from timm.models.deit import VisionTransformerDistilled
from timm.models.vision_transformer import VisionTransformer
from torch.nn import functional as F

HERE = Path(__file__).parent


def numbers(name, count, scale):
    """Uniform numbers in [-scale, scale), by murmur3's finaliser of position and name."""
    h = np.arange(count, dtype=np.uint32) + np.uint32(zlib.crc32(name.encode()))
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):
        h ^= h >> np.uint32(shift)
        h *= np.uint32(factor)
    return torch.from_numpy(((h / 2.0**31 - 1.0) * scale).astype(np.float32))


def scale_of(name, tensor):
    """Matrices keep activations of order 1; norms are around 1, biases and tokens small."""
    if tensor.dim() > 1 and "embed" not in name.split(".")[0] and "token" not in name:
        return (3.0 / tensor[0].numel()) ** 0.5
    return 0.3


def fill(model):
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            values = numbers(name, tensor.numel(), scale_of(name, tensor)).reshape(tensor.shape)
            tensor.copy_(1 + values if "norm" in name and name.endswith("weight") else values)
    return model


def images(batch, size):
    return numbers("images", batch * 3 * size * size, 2.0).reshape(batch, 3, size, size)


def flat(tensor):
    return [float(str(x)) for x in tensor.detach().numpy().reshape(-1)]


def published(name):
    model = fill(timm.create_model(name, pretrained=False, num_classes=1000)).eval()
    with torch.no_grad():
        return {"parameters": sum(p.numel() for p in model.parameters()), "logits": flat(model(images(1, 224)))}


SMALL = dict(img_size=16, patch_size=4, embed_dim=24, depth=2, num_heads=3, num_classes=10)


def small():
    model = fill(VisionTransformer(**SMALL)).train()
    save_file(model.state_dict(), HERE / "deit.safetensors")
    # As DeiT's authors save a run.
    rest = {"epoch": 3, "args": argparse.Namespace(lr=5e-4), "optimizer": {"state": {0: {"step": torch.tensor(3.0)}}}}
    torch.save({"model": model.state_dict(), **rest}, HERE / "deit.pth")
    labels = torch.tensor([3, 1, 4, 1])
    logits = model(images(4, 16))
    loss = F.cross_entropy(logits, labels)
    loss.backward()
    gradients = {name: flat(p.grad) for name, p in model.named_parameters()}
    return {"labels": labels.tolist(), "logits": flat(logits), "loss": loss.item(), "gradients": gradients}


def distilled():
    model = fill(VisionTransformerDistilled(**SMALL)).eval()
    with torch.no_grad():
        both = model(images(4, 16))
        model.set_distilled_training(True)
        model.train()
        heads = model(images(4, 16))
    return {"logits": flat(both), "head": flat(heads[0]), "head_dist": flat(heads[1])}


def resized():
    """The authors' resampling when they fine-tune at another resolution: bicubic, without antialiasing."""
    embedding = numbers("pos_embed", 17 * 24, 0.3).reshape(1, 17, 24)
    patches = embedding[:, 1:].reshape(1, 4, 4, 24).permute(0, 3, 1, 2)
    patches = F.interpolate(patches, size=(6, 5), mode="bicubic", align_corners=False)
    patches = patches.permute(0, 2, 3, 1).flatten(1, 2)
    return flat(torch.cat((embedding[:, :1], patches), dim=1))


def main():
    torch.set_num_threads(1)
    golden = {
        "tiny": published("deit_tiny_patch16_224"),
        "small": published("deit_small_patch16_224"),
        "reduced": small(),
        "distilled": distilled(),
        "resized": resized(),
    }
    counts = {}
    for name in ("deit_base_patch16_224", "deit_tiny_distilled_patch16_224"):
        model = timm.create_model(name, pretrained=False, num_classes=1000)
        counts[name] = sum(p.numel() for p in model.parameters())
    golden["counts"] = counts
    (HERE / "deit.json").write_text(json.dumps(golden, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
