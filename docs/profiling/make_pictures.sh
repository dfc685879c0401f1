#!/usr/bin/env bash
# Makes the pictures of docs/profiling.md again, from a run of the program there,
# and prints the tables of that run. The page shows both of one run.
#
# usage: docs/profiling/make_pictures.sh TOYLANG
#
# From the root of the repository. Needs Go, Graphviz, Chromium, Node, and the
# variable NODE_PATH with a folder that has puppeteer-core in it, as that of memlab
# has which `./dev check memlab` fetches.
set -euo pipefail
if (($# != 1)); then
  echo "usage: docs/profiling/make_pictures.sh TOYLANG" >&2
  exit 2
fi
toylang=$1
pictures=docs/pictures
mkdir -p "$pictures"
run=$(mktemp -d)
trap 'rm -rf "$run"' EXIT

LOAM_PROFILE_RATE=64K "$toylang" docs/profiling/chat_server.toy leaks "$run"
go tool pprof -top "$run/after_10_hours.pprof"
go tool pprof -top -base "$run/after_2_hours.pprof" "$run/after_10_hours.pprof"
go tool pprof -sample_index=alloc_space -top "$run/after_10_hours.pprof"

# As pprof -svg, but without the box that says when and with which build, and the
# script that moves the picture about.
go tool pprof -dot -nodefraction=0.01 -taghide=bytes \
  -base "$run/after_2_hours.pprof" "$run/after_10_hours.pprof" |
  sed '/^subgraph cluster_L /d' |
  dot -Tsvg >"$pictures/leak_call_graph.svg"

node docs/profiling/photograph_snapshots.js "$run/after_2_hours.heapsnapshot" \
  "$run/after_10_hours.heapsnapshot" "$pictures/leak_comparison.png"
ls -l "$pictures"
