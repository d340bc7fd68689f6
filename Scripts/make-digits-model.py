# SPDX-License-Identifier: Apache-2.0
"""Trains the small image classifier that ./run serves: handwritten digits from RGB images.

Data: the UCI optical-digits test set that scikit-learn carries (1,797 scans of 8x8). Each is scaled
to 32x32, shifted, scaled and inverted at random, so that the model reads dark ink on light paper
and light ink on dark. Needs torch, scikit-learn, onnx and pillow. Takes about two minutes.

    python Scripts/make-digits-model.py Examples/models/digits

writes 1/model.onnx and labels.txt there and samples/*.png (held-out digits) beside it, and prints
the accuracy on the held-out part.
"""

import pathlib
import sys

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

out = pathlib.Path(sys.argv[1])
torch.manual_seed(7)
generator = np.random.default_rng(7)
digits = load_digits()
train_x, test_x, train_y, test_y = train_test_split(
    digits.images / 16.0, digits.target, test_size=0.2, random_state=7, stratify=digits.target)


def render(image, scale=26, dx=3, dy=3):
    """A scan as dark ink on a white 32x32 page."""
    page = Image.new("L", (32, 32), 255)
    ink = Image.fromarray((255 - image * 255).astype("uint8")).resize((scale, scale), Image.BICUBIC)
    page.paste(ink, (dx, dy))
    return np.asarray(page, dtype="float32") / 255


def augmented(image):
    scale = int(generator.integers(20, 31))
    page = render(image, scale, int(generator.integers(0, 33 - scale)), int(generator.integers(0, 33 - scale)))
    if generator.random() < 0.5:
        page = 1 - page
    page = np.clip(page * generator.uniform(0.7, 1.0) + generator.uniform(0, 0.2), 0, 1)
    return page + generator.normal(0, 0.03, page.shape).astype("float32")


class Digits(torch.nn.Module):
    def __init__(self):
        super().__init__()
        def block(i, o, s):
            return [torch.nn.Conv2d(i, o, 3, s, 1, bias=False), torch.nn.BatchNorm2d(o), torch.nn.ReLU()]
        self.body = torch.nn.Sequential(
            *block(3, 16, 1), *block(16, 32, 2), *block(32, 32, 1), *block(32, 64, 2),
            torch.nn.AdaptiveAvgPool2d(2), torch.nn.Flatten(), torch.nn.Linear(256, 10))

    def forward(self, image):
        return self.body(image)


def batch(images):
    grey = torch.tensor(np.stack(images).astype("float32"))
    return ((grey - 0.5) / 0.5).unsqueeze(1).expand(-1, 3, -1, -1).contiguous()


model = Digits()
epochs = 40
optimizer = torch.optim.AdamW(model.parameters(), 2e-3, weight_decay=1e-2)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
for epoch in range(epochs):
    model.train()
    order = generator.permutation(len(train_x))
    for start in range(0, len(order), 64):
        rows = order[start:start + 64]
        loss = torch.nn.functional.cross_entropy(
            model(batch([augmented(train_x[i]) for i in rows])), torch.tensor(train_y[rows]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    schedule.step()
model.eval()
with torch.no_grad():
    plain = model(batch([render(x) for x in test_x])).argmax(1).numpy()
    shaken = model(batch([augmented(x) for x in test_x])).argmax(1).numpy()
print(f"held-out accuracy: {np.mean(plain == test_y):.4f} plain, {np.mean(shaken == test_y):.4f} augmented")

(out / "1").mkdir(parents=True, exist_ok=True)
torch.onnx.export(
    model, (torch.zeros(1, 3, 32, 32),), str(out / "1" / "model.onnx"), input_names=["image"],
    output_names=["scores"], dynamic_axes={"image": {0: "batch"}, "scores": {0: "batch"}},
    opset_version=17, dynamo=False)
(out / "labels.txt").write_text("\n".join(
    ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]) + "\n")
samples = out.parent.parent / "samples"
samples.mkdir(exist_ok=True)
for digit in (3, 7):
    row = int(np.flatnonzero((test_y == digit) & (plain == digit))[0])
    page = Image.fromarray((render(test_x[row], 26) * 255).astype("uint8")).convert("RGB")
    page.resize((160, 160), Image.BICUBIC).save(samples / f"digit-{digit}.png", optimize=True)
