"""Many nodes write to one server, each its own ref: all converge, and no push is refused. `make bench-fleet` is the same with 200."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "bench"))

import fleet  # noqa: E402

pytestmark = pytest.mark.heavy


def test_agents_do_not_get_in_each_others_way():
    _, _, _, commits = fleet.own_refs(agents=6, rounds=2, at_once=3)
    assert commits >= 6 * 3
