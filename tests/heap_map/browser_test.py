#!/usr/bin/env python3
"""Opens the map of a known heap in a browser and checks what it shows.

usage: browser_test.py MAKE_MAP PAGE_PROBE.js

Once as it is, with the address of a span in its location; and once with
page_probe.js at its end, which moves the mouse and reads the pixels. Needs
Chromium: the first of the commands chromium and google-chrome, or $CHROMIUM.
"""

import html.parser
import json
import os
import shutil
import subprocess
import sys
import tempfile

BROWSERS = ["chromium", "chromium-browser", "google-chrome"]
VOID = {"meta", "link", "br", "img", "input", "hr"}


class Element:
    def __init__(self, tag, attributes):
        self.tag = tag
        self.attributes = attributes
        self.children = []

    def walk(self):
        yield self
        for child in self.children:
            if isinstance(child, Element):
                yield from child.walk()

    def text(self):
        return "".join(
            child if isinstance(child, str) else child.text()
            for child in self.children
        )

    def find_all(self, tag, **attributes):
        return [
            element
            for element in self.walk()
            if element.tag == tag
            and all(
                element.attributes.get(name.rstrip("_")) == value
                for name, value in attributes.items()
            )
        ]

    def by_id(self, name):
        for element in self.walk():
            if element.attributes.get("id") == name:
                return element
        raise AssertionError(f"no element with id {name}")


class Parser(html.parser.HTMLParser):
    """What a browser has serialized: every element that needs it is closed."""

    def __init__(self):
        super().__init__()
        self.root = Element("", {})
        self.open = [self.root]

    def handle_starttag(self, tag, attrs):
        element = Element(tag, dict(attrs))
        self.open[-1].children.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag):
        if tag in VOID:
            return
        while len(self.open) > 1 and self.open.pop().tag != tag:
            pass

    def handle_data(self, data):
        self.open[-1].children.append(data)


def find_browser():
    for name in [os.environ.get("CHROMIUM", "")] + BROWSERS:
        if name and shutil.which(name):
            return name
    sys.exit(
        "There is no browser to show the page in: install Debian's package"
        " chromium (./dev test does), or set CHROMIUM to the command."
    )


def show(browser, path, location=""):
    """The document after the page's script has run."""
    with tempfile.TemporaryDirectory() as profile:
        command = [
            browser,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--force-device-scale-factor=1",
            "--window-size=1200,900",
            "--virtual-time-budget=20000",
            f"--user-data-dir={profile}",
            "--dump-dom",
            f"file://{path}{location}",
        ]
        # The browser may outlive its own deadline.
        result = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=200,
            check=False,
            env={**os.environ, "HOME": profile},
        )
    output = result.stdout.decode("utf-8")
    if result.returncode != 0 or "</html>" not in output:
        sys.exit(
            f"{' '.join(command)}\nstatus {result.returncode}\n"
            + result.stderr.decode("utf-8", "replace")
        )
    parser = Parser()
    parser.feed(output)
    return parser.root


failures = 0


def expect(condition, what):
    global failures
    if not condition:
        failures += 1
        print(f"FAILED: {what}")


def expect_equal(actual, expected, what):
    expect(actual == expected, f"{what}: {actual!r} instead of {expected!r}")


def expect_contains(text, parts, what):
    for part in parts:
        expect(part in text, f"{what}: {text!r} has no {part!r}")


def value(document, name):
    return int(document.by_id(name).attributes["value"])


def rows(document, name):
    return document.by_id(name).find_all("tr")


def values(row):
    return [int(d.attributes["value"]) for d in row.find_all("data")]


HOSTILE = "</script><b>\"\\'&amp;\u2028\u2029\n<!-- \u00e9 \ufffd\ufffd"


def check_page(document, expected):
    for name, number in expected.items():
        if name.startswith("total-"):
            expect_equal(value(document, name), number, name)
    expect_equal(document.by_id("title").text(), "Heap map: known <heap>", "title")
    expect_equal(document.find_all("b"), [], "elements made by a type's name")

    # The legend counts what was drawn.
    for legend, total in [
        ("bytes-free", "total-free"),
        ("bytes-released", "total-released"),
    ]:
        expect_equal(value(document, legend), expected[total], legend)
    kinds = [
        "noscan", "slots", "headed", "headed-noscan", "bitmap", "disposed", "typed",
        "large",
    ]  # fmt: skip
    in_spans = sum(value(document, "bytes-" + kind) for kind in kinds)
    expect_equal(in_spans, expected["total-in-spans"], "bytes of all kinds")
    expect(value(document, "pages-unswept") > 0, "some pages are not swept")
    expect(value(document, "pages-cached") > 0, "some pages are cached")

    # The tables.
    class_rows = rows(document, "classes")
    expect(len(class_rows) >= len(kinds), f"{len(class_rows)} span classes")
    pages = [
        values(row)[-4] for row in class_rows
    ]  # then bytes, cells, cells in use
    expect_equal(pages, sorted(pages, reverse=True), "classes by their pages")
    expect_equal(
        sum(pages) * 8192, expected["total-in-spans"], "pages of all classes"
    )
    types = {}
    for row in rows(document, "types"):
        name = row.find_all("td", class_="name")[0].text()
        types[name] = values(row)
    expect_equal(types["node"], [expected["nodes"], expected["nodes"] * 32], "node")
    expect_equal(types[HOSTILE][0], expected["hostile"], "the hostile type")
    expect(types["bytes"][1] > expected["huge-bytes"], f"bytes {types['bytes']}")
    expect_equal(
        len(document.find_all("canvas")),
        expected["total-reserved"] >> 26,
        "canvases",
    )


def check_probe(document, expected):
    answers = {
        p.attributes["data-name"]: p.text()
        for p in document.find_all("p", class_="probe")
    }
    expect_equal(answers.get("error"), None, "an error in the page")
    if answers.get("finished") != "yes":
        expect(False, f"the probe has not finished: {answers}")
        return
    pages = lambda name: str(expected[name] // 8192)
    expect_equal(answers["at start"], "hidden", "tooltip at start")
    expect_equal(answers["drawn free"], pages("total-free"), "free pages drawn")
    expect_equal(
        answers["drawn released"], pages("total-released"), "released pages drawn"
    )
    outside = (
        expected["total-reserved"]
        - expected["total-in-spans"]
        - expected["total-free"]
        - expected["total-released"]
    )
    expect_equal(
        answers["drawn outside"], str(outside // 8192), "pages outside drawn"
    )
    expect_equal(answers["wrong colours"], "0", "pages in a wrong colour")
    # The kinds of spans, empty and full.
    expect(int(answers["distinct colours"]) >= 10, answers["distinct colours"])
    expect_equal(answers["arenas"], str(expected["total-reserved"] >> 26), "arenas")

    expect_contains(
        answers["hover"],
        ["Span: typed", "node", "32 bytes", "1,024 of 1,024", "not swept"],
        "tooltip of nodes",
    )
    expect_equal(answers["left"], "hidden", "tooltip when the mouse has left")
    # The first span of nodes: the one of the first node.
    expect_equal(
        int(answers["location"].split("=")[1], 16) <= expected["node-address"],
        True,
        "location after a click",
    )
    expect(answers["location"].startswith("#span=0x"), answers["location"])
    expect(answers["home"] != answers["right"], "the right key moves on")
    expect_equal(answers["left again"], answers["home"], "and the left key back")
    expect_equal(answers["escape"], "hidden", "tooltip after Escape")
    expect(answers["alone"] != answers["colour of node"], "other pages fade")
    expect_equal(answers["together"], answers["colour of node"], "and come back")
    expect_equal(
        answers["drawn free alone"], answers["drawn free"], "free pages, alone"
    )
    expect_contains(
        answers["end of huge"],
        ["Span: large", "bytes", "66.0 MiB", "1 of 1"],
        "tooltip of the span in two arenas",
    )


def main():
    make_map, probe = sys.argv[1:]
    browser = find_browser()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "map.html")
        output = subprocess.run(
            [make_map, path], stdout=subprocess.PIPE, check=True
        ).stdout.decode()
        expected = {
            name: int(number)
            for name, number in (line.split() for line in output.splitlines())
        }

        node = f"#span={expected['node-address']:#x}"
        document = show(browser, path, node)
        check_page(document, expected)
        tooltip = document.by_id("tooltip")
        expect("hidden" not in tooltip.attributes, "the location shows a tooltip")
        expect_contains(
            tooltip.text(), ["Span: typed", "node", "0x"], "tooltip by location"
        )

        with open(path, encoding="utf-8") as file:
            page = file.read()
        with open(probe, encoding="utf-8") as file:
            script = f"const EXPECTED = {json.dumps(expected)};\n" + file.read()
        probed = os.path.join(folder, "probed.html")
        with open(probed, "w", encoding="utf-8") as file:
            file.write(page.replace("</body>", f"<script>{script}</script></body>"))
        check_probe(show(browser, probed), expected)
    if failures:
        sys.exit(f"{failures} failed")
    print("all passed")


if __name__ == "__main__":
    main()
