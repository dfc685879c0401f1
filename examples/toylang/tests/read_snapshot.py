#!/usr/bin/env python3
"""Checks that a snapshot names what its program has: see command_line_test.sh.

usage: read_snapshot.py FILE
"""

import json
import sys


class Snapshot:
    """Nodes by number; the edges of each as a dictionary from names."""

    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            data = json.load(file)
        meta = data["snapshot"]["meta"]
        strings = data["strings"]
        width = len(meta["node_fields"])
        types = meta["edge_types"][0]
        self.names = []
        self.edges = []
        edge = 0
        for at in range(0, len(data["nodes"]), width):
            name, count = data["nodes"][at + 1], data["nodes"][at + 4]
            self.names.append(strings[name])
            found = {}
            for e in range(edge, edge + count):
                kind, label, to = data["edges"][3 * e : 3 * e + 3]
                is_index = types[kind] in ("element", "hidden")
                found[label if is_index else strings[label]] = to // width
            self.edges.append(found)
            edge += count
        assert len(self.names) == data["snapshot"]["node_count"]
        assert edge == data["snapshot"]["edge_count"]

    def follow(self, node, *labels):
        for label in labels:
            assert label in self.edges[node], (
                f"{self.names[node]} has no {label}, but "
                f"{list(self.edges[node])[:50]}"
            )
            node = self.edges[node][label]
        return node

    def child(self, node, name):
        for to in self.edges[node].values():
            if self.names[to] == name:
                return to
        raise AssertionError(f"{self.names[node]} has no {name}")


def main():
    snapshot = Snapshot(sys.argv[1])
    thread = snapshot.child(0, "(thread toylang)")
    roots = snapshot.follow(thread, "interpreter")
    # Global variables by their names.
    kept = snapshot.follow(roots, "kept")
    assert snapshot.names[kept] == "list"
    items = snapshot.follow(kept, "elements")
    assert len(snapshot.edges[items]) == 1000, len(snapshot.edges[items])
    table = snapshot.follow(items, 999, "table")
    assert snapshot.names[table] == "map table"
    labels = list(snapshot.edges[table])
    assert len(labels) == 1 and labels[0].endswith("].key"), labels
    assert snapshot.names[snapshot.follow(table, labels[0])] == "string"
    counter = snapshot.follow(roots, "counter")
    assert snapshot.names[counter] == "closure"
    assert snapshot.names[snapshot.follow(counter, "prototype")] == "prototype"
    assert snapshot.names[snapshot.follow(counter, 0)] == "box"
    assert snapshot.names[snapshot.follow(roots, "print")] == "builtin"


if __name__ == "__main__":
    main()
