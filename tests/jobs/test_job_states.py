"""The transition table: which states lead where, and that nothing else does."""

from itertools import product

import pytest

from modelops_jax.jobs import JobStateError, JobStatus
from modelops_jax.jobs._states import TRANSITIONS, check_transition

# The issue's own drawing, written as pairs.
LEGAL = {
    ("pending", "running"),
    ("pending", "cancelled"),
    ("running", "completed"),
    ("running", "failed"),
    ("running", "cancelled"),
    ("running", "interrupted"),
    ("interrupted", "running"),
    ("interrupted", "cancelled"),
}


@pytest.mark.parametrize(("before", "after"), list(product(JobStatus, repeat=2)))
def test_a_transition_is_allowed_exactly_when_it_is_drawn(before: JobStatus, after: JobStatus):
    """All 36 pairs: the drawn ones pass, every other one is refused by name."""
    if (before.value, after.value) in LEGAL:
        check_transition("ft-1", before, after)
    else:
        with pytest.raises(JobStateError, match=f"job ft-1 is {before}.*{after}"):
            check_transition("ft-1", before, after)


def test_every_state_has_a_row_and_three_are_final():
    """The table is complete, and completed, failed and cancelled lead nowhere."""
    assert set(TRANSITIONS) == set(JobStatus)
    assert {s.value for s in JobStatus if s.is_final} == {"completed", "failed", "cancelled"}


def test_a_status_is_a_plain_string_to_its_reader():
    """Comparison and formatting are those of the documented words."""
    assert JobStatus.RUNNING == "running"
    assert f"{JobStatus.RUNNING}" == "running"
