# SPDX-License-Identifier: Apache-2.0
# Part of Martlet, the AI platform in one Swift binary.
"""Runs dumped cases through `martlet verify` and holds the result against the list of passes.

Usage: check.py MARTLET CASES LISTS [--update] [--report]

CASES is what dump_cases.py wrote. LISTS is the folder of passing.txt, the cases that pass, and of
failing.txt, those that do not, each with the reason. A case that fails and is not listed as failing
is a failure of this suite; one that passes all the same is reported. --update writes both lists and
the table of operators in Documentation. --report tells every failure, by operator and reason. The
last line is "N passed, M failed", where M counts the cases that fail unlisted.
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


def read_list(path):
    """The cases that a list names; a tab separates a reason."""
    if not os.path.exists(path):
        return set()
    with open(path) as file:
        return {line.split("\t")[0].strip() for line in file
                if line.strip() and not line.startswith("#")}


def write_lists(lists, operators, results, passing):
    head = "# Written by `Conformance/onnx/run --update`.\n"
    with open(os.path.join(lists, "passing.txt"), "w") as file:
        file.write(head)
        file.writelines(f"{name}\n" for name in sorted(passing))
    with open(os.path.join(lists, "failing.txt"), "w") as file:
        file.write(head)
        for name in sorted(set(operators) - passing):
            text = re.sub(r"^model '[^']*': ", "", results[name] or "")
            file.write(f"{name}\t{text[:160]}\n")
    write_table(os.path.join(lists, "..", "..", "Documentation", "Operators.md"), operators, passing)


def write_table(path, operators, passing):
    """By operator, how many of the cases of it alone pass; expanded functions are left out."""
    counts = collections.defaultdict(lambda: [0, 0])
    for name, used in operators.items():
        if "," in used or name.endswith("_expanded") or not name.startswith("node/"):
            continue
        counts[used][0] += name in passing
        counts[used][1] += 1
    with open(path, "w") as file:
        file.write("# Operators\n\nBy operator, how many of the onnx wheel's cases of it pass. Written by "
                   "`Conformance/onnx/run --update`;\nthe reasons of failures are in "
                   "`Conformance/onnx/failing.txt`.\n\n")
        file.write(f"All cases, models and expanded functions included: {len(passing)} of "
                   f"{len(operators)}.\n\n| operator | cases | pass |\n| --- | --- | --- |\n")
        for operator in sorted(counts):
            good, total = counts[operator]
            file.write(f"| {operator} | {total} | {'all' if good == total else good} |\n")


def main():
    options = {argument for argument in sys.argv[1:] if argument.startswith("--")}
    martlet, root, lists = [a for a in sys.argv[1:] if not a.startswith("--")]
    with open(os.path.join(root, "cases")) as file:
        operators = dict(line.rstrip("\n").split("\t") for line in file)
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
    excused = read_list(os.path.join(lists, "failing.txt"))
    if "--update" in options:
        for name in sorted(read_list(os.path.join(lists, "passing.txt")) - passing):
            print(f"REGRESSION (written as failing) {name}: {results.get(name, 'not among the cases')}")
        write_lists(lists, operators, results, passing)
        excused = set(failing)
    bad = [name for name in failing if name not in excused]
    bad += sorted(read_list(os.path.join(lists, "passing.txt")) - set(names))
    for name in bad:
        print(f"REGRESSION {name}: {results.get(name, 'not among the cases')}")
    fresh = sorted(passing & excused)
    if fresh:
        print(f"{len(fresh)} cases pass that are listed as failing (run with --update): "
              + ", ".join(fresh[:20]) + (" …" if len(fresh) > 20 else ""))
    kinds = collections.Counter(name.split("/")[0] for name in names)
    for kind in sorted(kinds):
        good = sum(name.startswith(kind + "/") for name in passing)
        print(f"{kind}: {good} of {kinds[kind]}")
    print(f"all: {len(passing)} of {len(names)}")
    print(f"{len(passing)} passed, {len(bad)} failed")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
