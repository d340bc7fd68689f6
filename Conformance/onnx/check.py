# SPDX-License-Identifier: Apache-2.0
# Part of Martlet, the AI platform in one Swift binary.
"""Runs dumped cases through `martlet verify` and holds the result against the list of passes.

Usage: check.py MARTLET CASES PASSING [--update] [--report]

CASES is what dump_cases.py wrote, PASSING the committed list of cases that pass. A case on the list
that fails is a failure of this suite; a case that passes and is not on it is reported, and written
there with --update. --report tells every failure, by operator and reason. The last line is
"N passed, M failed", where M counts the listed cases that fail.
"""
import collections
import os
import re
import subprocess
import sys
import tempfile
import threading

SECONDS_A_CASE = 60


def verify(martlet, folders):
    """Results by folder: None for a pass, else the reason. One process for as many as it survives."""
    results = {}
    left = list(folders)
    while left:
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as names:
            names.write("\n".join(left) + "\n")
            names.flush()
            process = subprocess.Popen(
                [martlet, "verify", "--list", names.name, "--threads", "1"],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            errors = []
            drain = threading.Thread(target=lambda: errors.append(process.stderr.read()))
            drain.start()
            done = 0
            timer = threading.Timer(SECONDS_A_CASE, process.kill)
            timer.start()
            for line in process.stdout:
                match = re.match(r"(ok|FAIL) (.*?)(?:: (.*))?$", line.rstrip("\n"))
                if not match or done >= len(left) or not match[2].startswith(left[done]):
                    continue
                results[left[done]] = None if match[1] == "ok" else match[3] or "?"
                done += 1
                timer.cancel()
                timer = threading.Timer(SECONDS_A_CASE, process.kill)
                timer.start()
            timer.cancel()
            status = process.wait()
            drain.join()
        if done < len(left):
            # The process ended on this one.
            last = (errors[0].strip().splitlines() or [""])[0]
            results[left[done]] = f"CRASH with status {status} {last}"
            done += 1
        left = left[done:]
    return results


def reason(text):
    """A failure without names and figures, so that alike ones are counted together."""
    text = re.sub(r"^model '[^']*': ", "", text)
    text = re.sub(r"'[^']*'", "'…'", text)
    return re.sub(r"-?\d+(\.\d+)?(e[+-]?\d+)?", "#", text)[:110]


def main():
    options = {argument for argument in sys.argv[1:] if argument.startswith("--")}
    martlet, root, listed = [a for a in sys.argv[1:] if not a.startswith("--")]
    with open(os.path.join(root, "cases")) as file:
        operators = dict(line.rstrip("\n").split("\t") for line in file)
    with open(listed) as file:
        floor = {line.strip() for line in file if line.strip() and not line.startswith("#")}
    names = sorted(operators)
    folders = {os.path.join(root, name): name for name in names}
    results = {folders[f]: r for f, r in verify(martlet, list(folders)).items()}
    passing = {name for name in names if results.get(name, "?") is None}
    failing = [name for name in names if name not in passing]
    if "--report" in options:
        counts = collections.Counter(
            f"{operators[n][:40] if len(operators[n]) < 40 else 'several'}: {reason(results[n])}"
            for n in failing)
        for line, count in counts.most_common():
            print(f"{count:5} {line}")
        with open(os.path.join(root, "failures"), "w") as file:
            file.writelines(f"{n}\t{operators[n]}\t{results[n]}\n" for n in failing)
    if "--update" in options:
        with open(listed, "w") as file:
            file.write("# Cases of the onnx wheel that pass; written by `Conformance/onnx/run "
                       "--update`. One that fails fails the suite.\n")
            file.writelines(f"{name}\n" for name in sorted(passing))
        floor = passing
    for name in sorted(floor - passing):
        print(f"REGRESSION {name}: {results.get(name, 'not among the cases')}")
    fresh = sorted(passing - floor)
    if fresh:
        print(f"{len(fresh)} cases pass that are not listed (run with --update): "
              + ", ".join(fresh[:20]) + (" …" if len(fresh) > 20 else ""))
    kinds = collections.Counter(name.split("/")[0] for name in names)
    for kind in sorted(kinds):
        good = sum(name.startswith(kind + "/") for name in passing)
        print(f"{kind}: {good} of {kinds[kind]}")
    print(f"all: {len(passing)} of {len(names)}")
    print(f"{len(floor & passing)} passed, {len(floor - passing)} failed")
    sys.exit(1 if floor - passing else 0)


if __name__ == "__main__":
    main()
