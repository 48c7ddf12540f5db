"""Which calls set a seed, and to which number: what a run puts its own seed in, and what a study offers to change."""

import ast
from collections.abc import Iterator

from loop.propose.literals import called, line_starts, parsed

VARIABLE = "COCKPIT_SEED"
SETS = (  # by how much of a run each decides
    "seed_everything", "set_seed", "torch.manual_seed", "manual_seed", "tf.random.set_seed", "jax.random.PRNGKey",
    "random.PRNGKey", "jax.random.key", "np.random.seed", "numpy.random.seed", "np.random.default_rng",
    "numpy.random.default_rng", "random.seed", "random.Random",
)  # fmt: skip
# What seeds the generators that all share. One of its own, as `default_rng(0)`, may be what makes or splits the data.
SHARED = (
    "seed_everything", "set_seed", "torch.manual_seed", "torch.cuda.manual_seed", "torch.cuda.manual_seed_all",
    "tf.random.set_seed", "random.set_seed", "np.random.seed", "numpy.random.seed", "random.seed",
)  # fmt: skip


def rank(name: str) -> int | None:
    """How much of a run the seed that a call of this name sets decides, the most first; None where it sets none."""
    return next((number for number, one in enumerate(SETS) if name == one or name.endswith(f".{one}")), None)


def shared(name: str) -> bool:
    """Whether a call of this name sets a seed that all share."""
    return any(name == one or name.endswith(f".{one}") for one in SHARED)


def number(call: ast.Call) -> ast.Constant | None:
    """The seed that a call is given: its one whole number, as it is or as a term of a sum.

    None where there is none, as in `seeds[0]` or `2 * rank`, or several.
    """
    ahead = [*call.args, *(one.value for one in call.keywords)]
    found = list[ast.Constant]()
    while ahead:
        match ahead.pop():
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                ahead += [left, right]
            case ast.Constant(value=value) as node if type(value) is int:
                found.append(node)
    return found[0] if len(found) == 1 else None


def starts(source: bytes) -> Iterator[tuple[str, int]]:
    """The calls of a file that are given a seed's number, each with where that begins. Raises Unreadable."""
    begins = line_starts(source)
    for node in ast.walk(parsed(source)):
        if isinstance(node, ast.Call) and (one := number(node)) is not None:
            yield called(node), begins[one.lineno - 1] + one.col_offset
