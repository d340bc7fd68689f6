# SPDX-License-Identifier: Apache-2.0
"""Makes the identity model and the request files, and reports medians and ratios."""

import collections
import pathlib
import statistics
import sys


def make(folder: pathlib.Path) -> None:
    import onnx
    from onnx import TensorProto, helper

    shape = ["batch", "width"]
    graph = helper.make_graph(
        [helper.make_node("Identity", ["INPUT0"], ["OUTPUT0"])], "identity",
        [helper.make_tensor_value_info("INPUT0", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("OUTPUT0", TensorProto.FLOAT, shape)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    version = folder / "models" / "identity" / "1"
    version.mkdir(parents=True)
    onnx.save(model, version / "model.onnx")
    for size in (16, 150_528):
        head = (
            '{"inputs":[{"name":"INPUT0","datatype":"FP32","shape":[1,%d],"parameters":'
            '{"binary_data_size":%d}}],"outputs":[{"name":"OUTPUT0","parameters":'
            '{"binary_data":true}}]}' % (size, size * 4)).encode()
        text = (
            "POST /v2/models/identity/infer HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Content-Length: {len(head) + size * 4}\r\n"
            f"Inference-Header-Content-Length: {len(head)}\r\n\r\n").encode()
        (folder / f"request-{size}").write_bytes(text + head + bytes(size * 4))


def report() -> None:
    rows = collections.defaultdict(list)
    for line in sys.stdin:
        name, *values = line.split()
        rows[name].append([float(value) for value in values])

    def median(name: str, place: int = 0) -> float:
        return statistics.median(row[place] for row in rows[name])

    for size in (16, 150_528):
        echo, infer = median(f"echo-{size}"), median(f"infer-{size}")
        print(f"{size} floats: echo {echo:.1f} us, inference {infer:.1f} us a request, "
              f"{infer / echo:.2f} times")
    for name in ("echo", "infer"):
        rate, half, most = (median(f"{name}-flat", place) for place in range(3))
        print(f"16 floats, 64 connections, {name}: {rate:.0f} requests/s, p50 {half:.0f} us, "
              f"p99 {most:.0f} us")


if sys.argv[1] == "report":
    report()
else:
    make(pathlib.Path(sys.argv[1]))
