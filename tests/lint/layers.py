"""Fails where an include points to the right of

    base < spec < { gitsync, render } < bootstrap < reconciler < cli

    layers.py FILE..."""

import re
import sys

MAY_INCLUDE = {
    "base": {"base"},
    "spec": {"base", "spec"},
    "gitsync": {"base", "spec", "gitsync"},
    "render": {"base", "spec", "render"},
    "bootstrap": {"base", "spec", "gitsync", "render", "bootstrap"},
    "reconciler": {"base", "spec", "gitsync", "render", "bootstrap", "reconciler"},
    "cli": {"base", "spec", "gitsync", "render", "reconciler", "bootstrap", "cli"},
}


def main():
    wrong = 0
    for path in sys.argv[1:]:
        layer = path.split("/")[0]
        with open(path, encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                include = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
                if include and include[1].split("/")[0] not in MAY_INCLUDE[layer]:
                    print(f"{path}:{number}: {layer}/ may not include {include[1]}")
                    wrong += 1
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
