"""Writes a repository as one text, as fuzz_spec.c reads it:  pack.py REPO > corpus/fuzz_spec/NAME"""

import pathlib
import sys

repo = pathlib.Path(sys.argv[1])
for file in sorted((repo / "clusters").rglob("*")):
    if file.is_file():
        text = file.read_text(encoding="utf-8", errors="replace")
        sys.stdout.write(f"%%% {file.relative_to(repo)}\n{text}" + ("" if text.endswith("\n") else "\n"))
