#!/usr/bin/env bash
# Bazel's own Python rules need a toolchain; these scripts need only python3.
exec python3 "$@"
