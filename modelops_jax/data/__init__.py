"""Rows of text to learn from and to be judged on: reading, checking, cleaning, splitting, writing.

A row is a dict, either ``{"prompt": str, "completion": str}`` or
``{"messages": [{"role": str, "content": str}, ...]}``; other objectives have rows of their own kind
(see `Dataset`). This room runs on the host alone and never
imports jax.
"""

from modelops_jax._atomic import write_atomic as write_atomic

from ._cells import CellError as CellError
from ._cells import CellKind as CellKind
from ._cells import number_of_text as number_of_text
from ._dataset import Dataset as Dataset
from ._jsonl import stream_rows as stream_rows
from ._problem import DatasetError as DatasetError
from ._problem import Problem as Problem
from ._rows import PreferencePair as PreferencePair
from ._rows import RowKind as RowKind
from ._rows import preference_pair as preference_pair
from ._sanitizer import DatasetSanitizer as DatasetSanitizer
from ._table import TableChunk as TableChunk
from ._table import read_table as read_table
