# SPDX-License-Identifier: Apache-2.0
"""Prints the totals line of a JUnit report: "N passed, M failed"."""

import sys
import xml.etree.ElementTree as ElementTree


def main() -> None:
    try:
        suites = list(ElementTree.parse(sys.argv[1]).getroot().iter("testsuite"))
    except ElementTree.ParseError:
        print("0 passed, 1 failed")
        return
    count = {key: sum(int(suite.get(key, 0)) for suite in suites)
             for key in ("tests", "failures", "errors", "skipped")}
    failed = count["failures"] + count["errors"]
    print(f"{count['tests'] - failed - count['skipped']} passed, {failed} failed")


main()
