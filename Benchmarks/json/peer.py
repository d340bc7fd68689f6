# SPDX-License-Identifier: Apache-2.0
"""Makes the inputs, measures orjson with numpy on them, and prints the ratios."""

import collections
import json
import pathlib
import statistics
import sys
import time


def make(folder: pathlib.Path) -> None:
    import numpy as np
    import orjson

    values = np.random.default_rng(0).random(150_528, dtype=np.float32)
    (folder / "short.json").write_bytes(orjson.dumps(values, option=orjson.OPT_SERIALIZE_NUMPY))
    (folder / "long.json").write_text(json.dumps(values.astype(np.float64).tolist()))


def median(body) -> float:
    times = []
    for _ in range(25):
        start = time.process_time()
        body()
        times.append(time.process_time() - start)
    return statistics.median(times)


def measure(folder: pathlib.Path) -> None:
    import numpy as np
    import orjson

    for name in ("short.json", "long.json"):
        text = (folder / name).read_bytes()
        values = np.asarray(orjson.loads(text), dtype=np.float32)
        size = len(orjson.dumps(values, option=orjson.OPT_SERIALIZE_NUMPY))
        spent = median(lambda: np.asarray(orjson.loads(text), dtype=np.float32))
        print(name, "peer-decode", spent * 1e9 / len(text))
        spent = median(lambda: orjson.dumps(values, option=orjson.OPT_SERIALIZE_NUMPY))
        print(name, "peer-encode", spent * 1e9 / size)


def report() -> None:
    rows = collections.defaultdict(list)
    for line in sys.stdin:
        name, what, value = line.split()
        rows[name, what].append(float(value))
    for name in ("short.json", "long.json"):
        for what in ("decode", "encode"):
            own = statistics.median(rows[name, what])
            peer = statistics.median(rows[name, "peer-" + what])
            print(f"{name} {what}: {own:.2f} ns/byte, orjson+numpy {peer:.2f}, "
                  f"{peer / own:.2f} times as fast")


if sys.argv[1] == "make":
    make(pathlib.Path(sys.argv[2]))
elif sys.argv[1] == "measure":
    measure(pathlib.Path(sys.argv[2]))
else:
    report()
