"""Which rows stand one after the other in a sequence of a batch."""

import dataclasses

import numpy as np
from jaxtyping import Int


@dataclasses.dataclass(frozen=True, eq=False)
class Sequences:
    """Sequence i has the rows `rows[starts[i] : starts[i + 1]]`; each row is in exactly one.

    Args:
        rows: Indices of the rows, sequence after sequence.
        starts: Where each sequence begins in `rows`, and after them where the last one ends.
        prefix: Number of tokens that all rows begin with and that are not part of the sequences.
    """

    rows: Int[np.ndarray, " rows"]
    starts: Int[np.ndarray, " ends"]
    prefix: int

    @classmethod
    def of_single_rows(cls, count: int, prefix: int) -> "Sequences":
        """Each row is a sequence of its own."""
        return cls(np.arange(count), np.arange(count + 1), prefix)

    @classmethod
    def of_pairs(cls, count: int, prefix: int) -> "Sequences":
        """Rows 0 and 1 are a sequence, rows 2 and 3, and so on."""
        return cls(np.arange(count), np.arange(0, count + 1, 2), prefix)

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, index: int) -> list[int]:
        return self.rows[self.starts[index] : self.starts[index + 1]].tolist()

    def sums(self, of_rows: Int[np.ndarray, " rows"]) -> Int[np.ndarray, " sequences"]:
        """Sums over the rows of each sequence."""
        return np.add.reduceat(of_rows[self.rows], self.starts[:-1])


def pack_rows(
    lengths: Int[np.ndarray, " rows"], capacity: int, *, prefix: int = 0, seed: int = 0
) -> Sequences:
    """Put rows into as few sequences as best-fit decreasing finds.

    The longest rows come first; each goes where it leaves the least room. Rows of equal length
    are taken in an order drawn from the seed.

    Args:
        lengths: Tokens of each row.
        capacity: Most tokens of a sequence, the prefix not counted.
        prefix: Tokens at the beginning of each row that its sequence leaves out.
        seed: Of the run.

    Returns:
        The sequences; at most 11/9 of the fewest possible and 4 more (Johnson, Demers, Ullman,
        Garey and Graham, "Worst-Case Performance Bounds for Simple One-Dimensional Packing
        Algorithms", 1974).

    Raises:
        ValueError: A row is longer than a sequence.

    Example:
        >>> import numpy as np
        >>> packed = pack_rows(np.asarray([2, 7, 3, 6]), 9)
        >>> [packed[index] for index in range(len(packed))]
        [[1, 0], [3, 2]]
    """
    own = lengths - prefix
    longest = int(own.argmax())
    if own[longest] > capacity:
        raise ValueError(
            f"row {longest} has {lengths[longest]} tokens; expected at most {capacity + prefix}, "
            "the length that rows are packed to"
        )
    order = np.random.Generator(np.random.Philox(key=[seed, 0])).permutation(len(own))
    order = order[np.argsort(-own[order], kind="stable")]
    # Sequences by the room left in them; bit r of `rooms` says that there is one with r.
    by_room: list[list[int]] = [[] for _ in range(capacity + 1)]
    rooms = count = 0
    places = np.empty(len(own), np.int64)
    for at, length in enumerate(own[order].tolist()):
        fitting = rooms >> length
        if fitting:
            room = length + (fitting & -fitting).bit_length() - 1
            sequence = by_room[room].pop()
            if not by_room[room]:
                rooms ^= 1 << room
        else:
            room, sequence, count = capacity, count, count + 1
        places[at] = sequence
        by_room[room - length].append(sequence)
        rooms |= 1 << (room - length)
    # Stable, so that the rows of a sequence stay in the order in which they were put there.
    rows = order[np.argsort(places, kind="stable")]
    starts = np.concatenate([[0], np.bincount(places, minlength=count).cumsum()])
    return Sequences(rows, starts, prefix)
