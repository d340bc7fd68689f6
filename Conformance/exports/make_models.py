# SPDX-License-Identifier: Apache-2.0
"""make_models.py FOLDER: exports networks with random weights from torch, a folder a model and an
exporter, with inputs and torch's answers beside it as ONNX's test data are laid out."""
import os
import sys
import traceback
import warnings

import networks
import numpy as np
import onnx
import torch
import transformers as t
from onnx import TensorProto, helper, numpy_helper
from torch import nn

warnings.filterwarnings("ignore")
t.logging.set_verbosity_error()
torch.set_num_threads(1)
torch.backends.mha.set_fastpath_enabled(False)


class Only(nn.Module):
    """A transformers model with plain positional arguments and one tensor as its answer."""

    def __init__(self, model, names, answer):
        super().__init__()
        self.model, self.names, self.answer = model, names, answer

    def forward(self, *values):
        named = dict(zip(self.names, values))
        return getattr(self.model(**named, return_dict=True), self.answer)


def tokens(rows=2, length=12, vocabulary=99):
    return torch.randint(1, vocabulary, (rows, length))


def padded(rows=2, length=12):
    mask = torch.ones(rows, length, dtype=torch.int64)
    mask[1, length // 2:] = 0
    return mask


SIZES = dict(vocab_size=99, hidden_size=32, num_hidden_layers=2, num_attention_heads=4)
ENCODER = dict(SIZES, intermediate_size=64)
DECODER = dict(ENCODER, num_key_value_heads=2, use_cache=False, max_position_embeddings=64)
PICTURE = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
               image_size=32, patch_size=8)


def text(model, answer="last_hidden_state"):
    return Only(model, ["input_ids", "attention_mask"], answer), (tokens(), padded())


def causal(model):
    return Only(model, ["input_ids", "attention_mask"], "logits"), (tokens(), padded())


def picture(model, answer="last_hidden_state", side=32):
    return Only(model, ["pixel_values"], answer), (torch.randn(2, 3, side, side),)


# name: (makes a model and its inputs, axes that vary by input)
MODELS = {
    "bert": (lambda: text(t.BertModel(t.BertConfig(**ENCODER))), [{0: "b", 1: "s"}] * 2),
    "roberta": (lambda: text(t.RobertaModel(t.RobertaConfig(**ENCODER))), [{0: "b", 1: "s"}] * 2),
    "distilbert": (
        lambda: text(t.DistilBertModel(t.DistilBertConfig(
            vocab_size=99, dim=32, n_layers=2, n_heads=4, hidden_dim=64))), [{0: "b", 1: "s"}] * 2),
    "albert": (
        lambda: text(t.AlbertModel(t.AlbertConfig(**ENCODER, embedding_size=16))),
        [{0: "b", 1: "s"}] * 2),
    "mpnet": (lambda: text(t.MPNetModel(t.MPNetConfig(**ENCODER))), [{0: "b", 1: "s"}] * 2),
    "deberta": (
        lambda: text(t.DebertaV2Model(t.DebertaV2Config(
            **ENCODER, relative_attention=True, pos_att_type=["p2c", "c2p"], position_buckets=8))),
        None),
    "t5-encoder": (
        lambda: text(t.T5EncoderModel(t.T5Config(
            vocab_size=99, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4,
            feed_forward_proj="gated-gelu"))), None),
    "gpt2": (
        lambda: causal(t.GPT2LMHeadModel(t.GPT2Config(
            vocab_size=99, n_embd=32, n_layer=2, n_head=4, n_positions=64, use_cache=False))),
        [{0: "b", 1: "s"}] * 2),
    "llama": (lambda: causal(t.LlamaForCausalLM(t.LlamaConfig(**DECODER))), [{0: "b", 1: "s"}] * 2),
    "qwen2": (lambda: causal(t.Qwen2ForCausalLM(t.Qwen2Config(**DECODER))), [{0: "b", 1: "s"}] * 2),
    "gemma2": (
        lambda: causal(t.Gemma2ForCausalLM(t.Gemma2Config(
            **DECODER, head_dim=8, sliding_window=8))), None),
    "vit": (lambda: picture(t.ViTModel(t.ViTConfig(**PICTURE))), [{0: "b"}]),
    "deit": (lambda: picture(t.DeiTModel(t.DeiTConfig(**PICTURE))), None),
    "swin": (
        lambda: picture(t.SwinModel(t.SwinConfig(
            image_size=32, patch_size=2, embed_dim=16, depths=[2, 2], num_heads=[2, 4],
            window_size=4))), None),
    "convnext": (
        lambda: picture(t.ConvNextModel(t.ConvNextConfig(
            hidden_sizes=[16, 24, 32, 40], depths=[1, 1, 2, 1])), side=64), None),
    "clip-vision": (
        lambda: picture(t.CLIPVisionModel(t.CLIPVisionConfig(**PICTURE))), None),
    "segformer": (
        lambda: picture(t.SegformerModel(t.SegformerConfig(
            hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1], num_attention_heads=[1, 2, 2, 4])),
            side=64), None),
    "whisper-encoder": (
        lambda: (Only(
            t.WhisperModel(t.WhisperConfig(
                vocab_size=99, d_model=32, encoder_layers=2, decoder_layers=1,
                encoder_attention_heads=4, decoder_attention_heads=4, encoder_ffn_dim=64,
                decoder_ffn_dim=64, num_mel_bins=16, max_source_positions=50,
                pad_token_id=0, bos_token_id=1, eos_token_id=2,
                decoder_start_token_id=1)).encoder,
            ["input_features"], "last_hidden_state"), (torch.randn(2, 16, 100),)), None),
    "wav2vec2": (
        lambda: (Only(
            t.Wav2Vec2Model(t.Wav2Vec2Config(
                **ENCODER, conv_dim=(16, 16, 16), conv_stride=(5, 2, 2), conv_kernel=(10, 3, 3),
                num_conv_pos_embeddings=8, num_conv_pos_embedding_groups=4,
                num_feat_extract_layers=3)),
            ["input_values"], "last_hidden_state"), (torch.randn(2, 800),)), None),
    "mobilenet": (lambda: (networks.mobilenet(), (torch.randn(2, 3, 64, 64),)), [{0: "b"}]),
    "efficientnet": (lambda: (networks.efficientnet(), (torch.randn(2, 3, 64, 64),)), [{0: "b"}]),
    "unet": (lambda: (networks.UNet(), (torch.randn(1, 3, 48, 64),)), [{0: "b"}]),
    "detector": (lambda: (networks.Detector(), (torch.randn(1, 3, 64, 64),)), None),
    "lstm-tagger": (lambda: (networks.Tagger(nn.LSTM), (tokens(2, 15),)), None),
    "gru-tagger": (lambda: (networks.Tagger(nn.GRU), (tokens(2, 15),)), None),
    "wavelets": (lambda: (networks.Wavelets(), (torch.randn(2, 1, 200),)), None),
    "transformer": (
        lambda: (networks.Mixer(), (torch.randn(2, 9, 32), torch.randn(2, 7, 32))), None),
}


# What torch's exporters themselves refuse.
NOT_EXPORTABLE = set()


def liven(model):
    """Statistics and scales away from their first values, so that dropping one shows."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.3, 0.3)
            nn.init.uniform_(module.running_var, 0.6, 1.6)
    for parameter in model.parameters():
        if parameter.dim() == 1:
            parameter.data += 0.1 * torch.randn_like(parameter)


def suppressed(boxes, scores, overlap, least):
    """Greedy non-maximum suppression in torch: rows (image, class, box), as ONNX orders them."""
    rows = []
    for image in range(boxes.shape[0]):
        for kind in range(scores.shape[1]):
            order = torch.argsort(scores[image, kind], descending=True, stable=True).tolist()
            kept = []
            for index in order:
                if scores[image, kind, index] <= least:
                    break
                box, alone = boxes[image, index], True
                for other in kept:
                    against = boxes[image, other]
                    low = torch.maximum(box[:2], against[:2])
                    high = torch.minimum(box[2:], against[2:])
                    shared = (high - low).clamp(min=0).prod()
                    areas = (box[2:] - box[:2]).prod() + (against[2:] - against[:2]).prod()
                    if shared / (areas - shared) > overlap:
                        alone = False
                        break
                if alone:
                    kept.append(index)
            rows += [(image, kind, index) for index in kept[:20]]
    return torch.tensor(rows, dtype=torch.int64).reshape(-1, 3)


def suppress(path):
    """Adds NonMaxSuppression behind a detector's boxes and scores."""
    model = onnx.load(path)
    graph = model.graph
    names = [o.name for o in graph.output]
    for name, value in (("most", np.array([20])), ("overlap", np.float32([0.5])),
                        ("least", np.float32([0.5]))):
        graph.initializer.append(numpy_helper.from_array(value, name))
    graph.node.append(helper.make_node(
        "NonMaxSuppression", [*names, "most", "overlap", "least"], ["kept"]))
    graph.output.append(helper.make_tensor_value_info("kept", TensorProto.INT64, ["kept", 3]))
    onnx.save(model, path)


def write(folder, labels, inputs, answers):
    os.makedirs(folder, exist_ok=True)
    for kind, names, values in zip(("input", "output"), labels, (inputs, answers)):
        for index, (value, label) in enumerate(zip(values, names, strict=True)):
            with open(f"{folder}/{kind}_{index}.pb", "wb") as file:
                file.write(numpy_helper.from_array(value.numpy(), label).SerializeToString())


def export(name, exporter, folder):
    torch.manual_seed(7)
    maker, axes = MODELS[name]
    model, inputs = maker()
    model.eval()
    liven(model)
    with torch.no_grad():
        answers = model(*inputs)
    answers = list(answers) if isinstance(answers, tuple) else [answers]
    os.makedirs(folder, exist_ok=True)
    path = f"{folder}/model.onnx"
    names = [f"in{i}" for i in range(len(inputs))]
    with torch.no_grad():
        if exporter == "script":
            torch.onnx.export(
                model, inputs, path, dynamo=False, opset_version=17, input_names=names,
                dynamic_axes=dict(zip(names, axes)) if axes else None)
        else:
            torch.onnx.export(
                model, inputs, path, dynamo=True, input_names=names, external_data=False,
                verbose=False)
    if name == "detector":
        suppress(path)
        answers.append(suppressed(*answers, 0.5, 0.5))
        assert 0 < len(answers[-1]) < 3 * answers[0].shape[1]
    graph = onnx.load(path).graph
    held = {i.name for i in graph.initializer}
    labels = [i.name for i in graph.input if i.name not in held], [o.name for o in graph.output]
    write(f"{folder}/test_data_set_0", labels, inputs, answers)
    if axes and exporter == "script":
        # The same file at another shape: one row, and seven tokens where those may vary.
        smaller = [v[:1, :7] if 1 in axis else v[:1] for v, axis in zip(inputs, axes)]
        with torch.no_grad():
            write(f"{folder}/test_data_set_1", labels, smaller, [model(*smaller)])
    with open(f"{folder}/tolerance", "w") as file:
        file.write("0.001 0.00002\n")


def main():
    root, only = sys.argv[1], sys.argv[2:]
    failed = 0
    for name in only or MODELS:
        for exporter in ("script", "dynamo"):
            folder = f"{root}/{name}-{exporter}"
            if os.path.exists(f"{folder}/tolerance"):
                continue
            try:
                export(name, exporter, folder)
                print("exported", name, exporter, flush=True)
            except Exception as error:
                if (name, exporter) in NOT_EXPORTABLE:
                    continue
                failed += 1
                lines = str(error).strip().splitlines() or [""]
                print("not exported", name, exporter, type(error).__name__, lines[0][:200], flush=True)
                traceback.print_exc()
    sys.exit(1 if failed else 0)


main()
