# SPDX-License-Identifier: Apache-2.0
"""Small networks with the shapes of well-known ones; weights come from torch's seed."""
import torch
from torch import nn
from torch.nn import functional as F


def convolution(inputs, outputs, kernel=3, stride=1, groups=1, activation=nn.ReLU):
    parts = [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs)]
    return nn.Sequential(*parts, activation()) if activation else nn.Sequential(*parts)


class SqueezeExcite(nn.Module):
    def __init__(self, channels, gate):
        super().__init__()
        self.down, self.up = nn.Conv2d(channels, channels // 4, 1), nn.Conv2d(channels // 4, channels, 1)
        self.gate = gate

    def forward(self, x):
        return x * self.gate(self.up(F.relu(self.down(F.adaptive_avg_pool2d(x, 1)))))


class Inverted(nn.Module):
    """An inverted residual block: expand, depthwise, squeeze and excite, project."""

    def __init__(self, inputs, outputs, kernel, stride, expansion, activation, gate):
        super().__init__()
        inner = inputs * expansion
        self.body = nn.Sequential(
            convolution(inputs, inner, 1, activation=activation),
            convolution(inner, inner, kernel, stride, groups=inner, activation=activation),
            SqueezeExcite(inner, gate), convolution(inner, outputs, 1, activation=None))
        self.skips = stride == 1 and inputs == outputs

    def forward(self, x):
        return x + self.body(x) if self.skips else self.body(x)


def mobilenet():
    block = lambda i, o, k, s: Inverted(i, o, k, s, 4, nn.Hardswish, F.hardsigmoid)
    return nn.Sequential(
        convolution(3, 16, stride=2, activation=nn.Hardswish), block(16, 16, 3, 1),
        block(16, 24, 5, 2), block(24, 24, 5, 1), block(24, 40, 3, 2),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(40, 64), nn.Hardswish(), nn.Dropout(),
        nn.Linear(64, 10))


def efficientnet():
    block = lambda i, o, k, s: Inverted(i, o, k, s, 6, nn.SiLU, torch.sigmoid)
    return nn.Sequential(
        convolution(3, 16, stride=2, activation=nn.SiLU), block(16, 24, 3, 2), block(24, 24, 5, 1),
        block(24, 40, 5, 2), convolution(40, 80, 1, activation=nn.SiLU),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(80, 10))


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        pair = lambda i, o: nn.Sequential(convolution(i, o), convolution(o, o))
        self.first, self.second, self.bottom = pair(3, 16), pair(16, 32), pair(32, 64)
        self.up_two, self.up_one = nn.ConvTranspose2d(64, 32, 2, 2), nn.Conv2d(32, 16, 1)
        self.join_two, self.join_one, self.head = pair(64, 32), pair(32, 16), nn.Conv2d(16, 4, 1)

    def forward(self, x):
        one = self.first(x)
        two = self.second(F.max_pool2d(one, 2))
        x = self.up_two(self.bottom(F.max_pool2d(two, 2)))
        x = self.join_two(torch.cat([x, two], 1))
        x = F.interpolate(self.up_one(x), scale_factor=2.0, mode="bilinear", align_corners=False)
        return self.head(self.join_one(torch.cat([x, one], 1)))


class Detector(nn.Module):
    """A YOLO-like head over three scales: boxes from distances, scores; NMS is added to the file."""

    classes, reach = 3, 8

    def __init__(self):
        super().__init__()
        self.stages = nn.ModuleList(
            convolution(i, o, stride=2, activation=nn.SiLU) for i, o in ((3, 16), (16, 32), (32, 48)))
        width = 4 * self.reach + self.classes
        self.heads = nn.ModuleList(nn.Conv2d(c, width, 1) for c in (16, 32, 48))

    def forward(self, x):
        boxes, scores = [], []
        for index, (stage, head) in enumerate(zip(self.stages, self.heads)):
            x = stage(x)
            answer = head(x)
            rows, columns = answer.shape[2:]
            distances, classes = answer.split([4 * self.reach, self.classes], 1)
            bins = distances.view(-1, 4, self.reach, rows * columns).softmax(2)
            reach = (bins * torch.arange(self.reach).float().view(1, 1, -1, 1)).sum(2)
            ys, xs = torch.meshgrid(
                torch.arange(rows).float() + 0.5, torch.arange(columns).float() + 0.5, indexing="ij")
            centres = torch.stack([ys.reshape(-1), xs.reshape(-1)])
            low, high = centres - reach[:, :2], centres + reach[:, 2:]
            boxes.append(torch.cat([low, high], 1).transpose(1, 2) * 2.0 ** (index + 1))
            scores.append(classes.flatten(2).sigmoid())
        return torch.cat(boxes, 1), torch.cat(scores, 2)


class Tagger(nn.Module):
    def __init__(self, cell):
        super().__init__()
        self.words = nn.Embedding(200, 24)
        self.layers = cell(24, 32, num_layers=2, bidirectional=True, batch_first=True)
        self.head = nn.Linear(64, 9)

    def forward(self, ids):
        return F.log_softmax(self.head(self.layers(self.words(ids))[0]), -1)


class Wavelets(nn.Module):
    """One-dimensional convolutions with dilation, gates and group norm, as vocoders have them."""

    def __init__(self):
        super().__init__()
        self.enter = nn.Conv1d(1, 24, 7, padding=3)
        self.layers = nn.ModuleList(
            nn.Conv1d(24, 48, 3, padding=2**n, dilation=2**n) for n in range(4))
        self.norms = nn.ModuleList(nn.GroupNorm(4, 24) for _ in range(4))
        self.leave = nn.ConvTranspose1d(24, 1, 4, 2, 1)

    def forward(self, x):
        x = self.enter(x)
        for layer, norm in zip(self.layers, self.norms):
            gate, value = layer(norm(x)).chunk(2, 1)
            x = x + torch.sigmoid(gate) * torch.tanh(value)
        return self.leave(F.leaky_relu(x, 0.1))


class Mixer(nn.Module):
    """torch's own encoder and decoder layers, with padding and causal masks."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(32, 4, 64, batch_first=True, activation="gelu"), 2,
            enable_nested_tensor=False)
        self.decoder = nn.TransformerDecoder(
            nn.TransformerDecoderLayer(32, 4, 64, batch_first=True, norm_first=True), 2)

    def forward(self, source, target):
        length = target.shape[1]
        mask = torch.triu(torch.full((length, length), float("-inf")), 1)
        return self.decoder(target, self.encoder(source), tgt_mask=mask, tgt_is_causal=False)
