"""Splitting parameters into those that are trained and those that stay."""

import fnmatch
from collections.abc import Mapping, Sequence
from typing import Any

import jax

Tree = Mapping[str, Any]


def split_frozen(params: Tree, patterns: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split a parameter tree by patterns over the names of its leaves.

    Args:
        params: Nested dictionaries of arrays.
        patterns: Patterns (`*`, `?`, `[...]`) over whole names such as
            `model.layers.mlp.up_proj.weight`; one name holds that tensor of all layers.

    Returns:
        The trained part and the frozen part; branches without a leaf are absent.

    Raises:
        ValueError: A pattern matches no name, or everything is frozen.

    Example:
        >>> split_frozen({"embed": {"weight": 1}, "head": {"weight": 2}}, ["embed.*"])
        ({'head': {'weight': 2}}, {'embed': {'weight': 1}})
    """
    leaves = {
        jax.tree_util.keystr(path, simple=True, separator="."): leaf
        for path, leaf in jax.tree.leaves_with_path(params)
    }
    for pattern in patterns:
        if not fnmatch.filter(leaves, pattern):
            raise ValueError(
                f"training.freeze: {pattern!r} matches none of {', '.join(sorted(leaves))}"
            )
    parts: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
    for name, leaf in leaves.items():
        node = parts[any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)]
        *parents, last = name.split(".")
        for key in parents:
            node = node.setdefault(key, {})
        node[last] = leaf
    if not parts[0]:
        raise ValueError("training.freeze matches every parameter: nothing is left to train")
    return parts


def join_trees(one: Tree, other: Tree) -> dict[str, Any]:
    """The tree whose leaves are those of both."""
    joined = dict(one)
    for key, node in other.items():
        joined[key] = join_trees(joined[key], node) if key in joined else node
    return joined
