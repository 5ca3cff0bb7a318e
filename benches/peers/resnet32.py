"""ResNet-32 with projection shortcuts, as ours, in PyTorch."""

from torch import nn
from torch.nn import functional as F


class Unit(nn.Module):
    def __init__(self, cin, cout, kernel, stride):
        super().__init__()
        self.conv = nn.Conv2d(cin, cout, kernel, stride, kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(cout)

    def forward(self, x):
        return self.norm(self.conv(x))


class Block(nn.Module):
    def __init__(self, cin, cout, stride):
        super().__init__()
        self.first, self.second = Unit(cin, cout, 3, stride), Unit(cout, cout, 3, 1)
        self.around = Unit(cin, cout, 1, stride) if cin != cout else nn.Identity()

    def forward(self, x):
        return F.relu_(self.second(F.relu_(self.first(x))) + self.around(x))


class ResNet32(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.stem = Unit(3, width, 3, 1)
        sizes = [(width, width, 1)] * 5
        sizes += [(width, 2 * width, 2)] + [(2 * width, 2 * width, 1)] * 4
        sizes += [(2 * width, 4 * width, 2)] + [(4 * width, 4 * width, 1)] * 4
        self.blocks = nn.Sequential(*[Block(*size) for size in sizes])
        self.head = nn.Linear(4 * width, 10)

    def forward(self, x):
        return self.head(self.blocks(F.relu_(self.stem(x))).mean((2, 3)))
