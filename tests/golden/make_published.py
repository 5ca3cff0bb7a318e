"""Logits of the published convolutional networks at their full size, for tests/golden/published.rs.

    python tests/golden/make_published.py

Needs torch (2.15 made them), torchvision (0.29) and, for its import, what make_deit.py needs. Writes published.json beside this
script. As in make_deit.py the weights are not in the file: both sides compute them from names and positions. Float32 on
one CPU thread.
"""

import json
from pathlib import Path

import torch
import torchvision

from make_deit import flat, numbers
from make_models import VGG, WideResNet

HERE = Path(__file__).parent


def value(name, tensor, gain):
    """Filters and matrices with a variance of `gain` over their inputs; what else there is, a norm's, is near its usual value."""
    if tensor.dim() > 1:
        return numbers(name, tensor.numel(), (3.0 * gain / tensor[0].numel()) ** 0.5).reshape(tensor.shape)
    values = numbers(name, tensor.numel(), 0.3)
    is_one = name.endswith("running_var") or name.endswith("weight")
    return values + 1 if is_one else values


def logits(model, side, gain):
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if not name.endswith("num_batches_tracked"):
                tensor.copy_(value(name, tensor, gain))
        x = numbers("images", 2 * 3 * side * side, 2.0).reshape(2, 3, side, side)
        return flat(model.eval()(x))


def main():
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    # Without shortcuts every ReLU takes half of what the next layer sees, so that VGG's filters have to make up for it.
    golden = {
        "vgg19": logits(VGG([2, 2, 4, 4, 4], width=64), 32, gain=2.0),
        "wrn_28_10": logits(WideResNet(28, 10), 16, gain=1.0),
        "resnet18": logits(torchvision.models.resnet18(), 64, gain=1.0),
        "resnet50": logits(torchvision.models.resnet50(), 64, gain=1.0),
    }
    (HERE / "published.json").write_text(json.dumps(golden, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
