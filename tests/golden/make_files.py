"""Model files that travel between PyTorch and zosam, both ways, for tests/golden/files.rs.

    python tests/golden/make_files.py                      # writes files/ and what PyTorch computes with them
    cargo test --test golden files                         # leaves zosam's files in target/tmp/files (and fails)
    python tests/golden/make_files.py target/tmp/files     # reads those, and adds what PyTorch computes with them

Needs torch, timm, numpy and safetensors (2.15, 1.0.31, 2.4 and 0.8 made them). Writes files.json and files/ beside this script. Networks
are those of make.py, make_models.py and timm, narrow; weights come from their names by an integer hash (make_deit.py), so that
both sides know them. Float32 on one CPU thread.
"""

import hashlib
import json
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from timm.models.vision_transformer import VisionTransformer
from torch import nn
from torch.nn.utils import prune
from torch.optim.swa_utils import AveragedModel

import make
from make_deit import flat, numbers
from make_models import VGG, WideResNet

HERE = Path(__file__).parent
FILES = HERE / "files"
PIXELS, BATCH = 16, 4

NETWORKS = {
    "resnet": lambda: make.ResNet8("grasp"),
    "vgg": lambda: VGG([1, 1, 2, 2, 2], 2),
    "wide_resnet": lambda: WideResNet(10, 1, base=4),
    "deit": lambda: VisionTransformer(img_size=16, patch_size=4, embed_dim=12, depth=1, num_heads=3, num_classes=10),
}


def fill(model, salt=""):
    """Every tensor by its name: matrices small, norms and variances around 1."""
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if name.endswith("num_batches_tracked"):
                continue
            many = tensor.dim() > 1 and "embed" not in name.split(".")[0] and "token" not in name
            scale = (3.0 / tensor[0].numel()) ** 0.5 if many else 0.3
            values = numbers(salt + name, tensor.numel(), scale).reshape(tensor.shape)
            around_one = tensor.dim() == 1 and (name.endswith("weight") or name.endswith("running_var"))
            tensor.copy_(1 + values if around_one else values)
    return model


def network(family, salt=""):
    return fill(NETWORKS[family](), salt)


def images():
    return numbers("images", BATCH * 3 * PIXELS * PIXELS, 2.0).reshape(BATCH, 3, PIXELS, PIXELS)


def logits(model):
    with torch.no_grad():
        return flat(model.eval()(images()))


def layers(model):
    return [m for m in model.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]


def pruned(model, amount=0.8):
    for layer in layers(model):
        prune.l1_unstructured(layer, "weight", amount=amount)
    return model


def live(model):
    """Of each weight that has zeros, how many are none."""
    weights = [layer.weight for layer in layers(model)]
    return sum(int((w != 0).sum()) for w in weights if (w == 0).any())


def prefixed(state, prefix):
    return {prefix + name: tensor.contiguous() for name, tensor in state.items()}


def write():
    FILES.mkdir(exist_ok=True)
    cases = {}

    def case(name, family, model, masked):
        cases[name] = {"family": family, "logits": logits(model), "live": live(model) if masked else 0}

    # A run of timm's with an average of its weights: the average counts.
    weights, average = network("resnet"), network("resnet", "average ")
    rest = {"epoch": 3, "optimizer": {"state": {0: {"momentum_buffer": torch.ones(3)}}}}
    run = {"state_dict": weights.state_dict(), "state_dict_ema": prefixed(average.state_dict(), "module."), **rest}
    torch.save(run, FILES / "resnet_run.pth")
    case("resnet_run.pth", "resnet", average, False)

    # Compiled, then wrapped for several devices.
    save_file(prefixed(weights.state_dict(), "module._orig_mod."), FILES / "resnet_compiled.safetensors")
    case("resnet_compiled.safetensors", "resnet", weights, False)

    # As torch.nn.utils.prune leaves a model.
    model = pruned(network("vgg"))
    torch.save(model.state_dict(), FILES / "vgg_pruned.pth")
    case("vgg_pruned.pth", "vgg", model, True)

    # The same made permanent: zeros.
    for layer in layers(model):
        prune.remove(layer, "weight")
    torch.save({"model": model.state_dict(), **rest}, FILES / "vgg_zeros.pth")
    case("vgg_zeros.pth", "vgg", model, True)

    # As torchvision's training script saves: the average has a counter beside its wrapper's prefix.
    wide = network("wide_resnet")
    averaged = AveragedModel(wide)
    averaged.update_parameters(wide)
    run = {"model": network("wide_resnet", "last ").state_dict(), "model_ema": averaged.state_dict(), **rest}
    torch.save(run, FILES / "wide_resnet_run.pth")
    case("wide_resnet_run.pth", "wide_resnet", wide, False)

    # Part of a larger module, pruned, in safetensors.
    model = pruned(network("deit"))
    save_file(prefixed(model.state_dict(), "student.backbone."), FILES / "deit_pruned.safetensors")
    case("deit_pruned.safetensors", "deit", model, True)
    return cases


def read(folder):
    """What PyTorch computes with zosam's files."""
    found = {}
    for path in sorted(Path(folder).glob("*.safetensors")):
        family, kind = path.stem.split("-")
        model = NETWORKS[family]()
        if kind == "dense":
            model.load_state_dict(load_file(path))
        else:
            import read_model

            model.load_state_dict({name: torch.from_numpy(t) for name, t in read_model.read(path).items()})
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        found[path.name] = {"sha256": sha256, "logits": logits(model)}
    return found


if __name__ == "__main__":
    torch.set_num_threads(1)
    output = HERE / "files.json"
    golden = json.loads(output.read_text()) if output.exists() else {"read": {}}
    if len(sys.argv) > 1:
        golden["read"] = read(sys.argv[1])
    else:
        golden["written"] = write()
    output.write_text(json.dumps(golden, separators=(",", ":")) + "\n")
