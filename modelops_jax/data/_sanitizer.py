"""Cleaning a dataset: each method returns a new one."""

from collections.abc import Iterable
from numbers import Real

from ._dataset import Dataset
from ._problem import DatasetError
from ._rows import describe, text_length


class DatasetSanitizer:
    """Cleans datasets; every method returns a new dataset and leaves its input as it was.

    Example:
        >>> rows = [{"prompt": "2+2?", "completion": "4", "id": 7}]
        >>> rows.append({"prompt": "", "completion": ""})
        >>> sanitizer = DatasetSanitizer()
        >>> clean = sanitizer.filter_by_length(Dataset(rows))
        >>> sanitizer.strip_keys(clean, ["id"]).data
        [{'prompt': '2+2?', 'completion': '4'}]
    """

    @staticmethod
    def filter_by_length(dataset: Dataset, min_length: int = 1, max_length: int = 10000) -> Dataset:
        """The rows whose text has a length between two bounds.

        The length of a row is the number of characters (Unicode code points) of prompt +
        completion, or of the contents of all its messages.

        Args:
            dataset: The dataset.
            min_length: Shortest length that is kept, in characters.
            max_length: Longest length that is kept, in characters.

        Returns:
            A new dataset with the rows of ``min_length <= length <= max_length``, in their order.

        Raises:
            DatasetError: A row is malformed, so it has no length; every such row is listed.
            TypeError: `dataset` is not a `Dataset`, or a bound is no number.
            ValueError: `max_length` is below `min_length`.

        Example:
            >>> rows = [{"prompt": "a", "completion": "b"}, {"prompt": "aa", "completion": "bb"}]
            >>> len(DatasetSanitizer.filter_by_length(Dataset(rows), min_length=4))
            1
        """
        _check_dataset(dataset)
        for name, bound in (("min_length", min_length), ("max_length", max_length)):
            if isinstance(bound, bool) or not isinstance(bound, Real):
                raise TypeError(f"{name}: found {describe(bound)}, expected a number of characters")
        if max_length < min_length:
            raise ValueError(
                f"max_length: found {max_length}, expected at least min_length = {min_length}"
            )
        if problems := dataset.problems():
            raise DatasetError.listing("rows without a length", problems)
        return Dataset(row for row in dataset if min_length <= text_length(row) <= max_length)

    @staticmethod
    def strip_keys(dataset: Dataset, keys: Iterable[str]) -> Dataset:
        """The rows without some of their keys.

        Only keys of the row itself are stripped, not those inside its messages; a key that a row
        does not have is ignored. Stripping a required key (``prompt``, ``completion`` or
        ``messages``) is allowed: the new dataset then fails `Dataset.validate`, and
        `Dataset.problems` says why.

        Args:
            dataset: The dataset.
            keys: The keys to strip, as a list, tuple or set of strings.

        Returns:
            A new dataset of as many rows.

        Raises:
            TypeError: `dataset` is not a `Dataset`, or `keys` is a string or holds something else
                than strings.

        Example:
            >>> dataset = Dataset([{"prompt": "Hello", "completion": "Hi!", "source": "chat"}])
            >>> DatasetSanitizer.strip_keys(dataset, ["source"])[0]
            {'prompt': 'Hello', 'completion': 'Hi!'}
        """
        _check_dataset(dataset)
        if isinstance(keys, str):
            raise TypeError(f"keys: found the string {keys!r}, expected a list: [{keys!r}]")
        unwanted = set(keys)
        for key in unwanted:
            if not isinstance(key, str):
                raise TypeError(f"keys: found {key!r}, expected only strings")
        stripped = Dataset(dataset)
        for row in stripped:
            for key in unwanted & row.keys():
                del row[key]
        return stripped


def _check_dataset(dataset: object) -> None:
    if not isinstance(dataset, Dataset):
        raise TypeError(
            f"dataset: found {type(dataset).__name__}, expected a Dataset: Dataset(rows)"
        )
