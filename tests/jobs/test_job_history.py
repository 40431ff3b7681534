"""The job store under any sequence of calls by two workers, each acting on old looks."""

import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from modelops_jax.jobs import JobRecord, JobStateError, JobStatus
from modelops_jax.jobs._process import ProcessIdentity
from modelops_jax.jobs._states import TRANSITIONS
from modelops_jax.jobs._store import JobStore

WORKERS = st.sampled_from([0, 1])


class TwoWorkers(RuleBasedStateMachine):
    """Two workers look at one job, then act on what they saw, however long ago that was."""

    @initialize()
    def make(self):
        """A fresh store whose clock ticks at every reading."""
        self.home = tempfile.TemporaryDirectory()
        self.time = 0.0
        self.store = JobStore(Path(self.home.name), clock=self.tick)
        record = self.store.create("ft-1", base_model="tiny", resolved_model="tiny")
        self.looks: list[JobRecord] = [record, record]
        self.status, self.attempt, self.kinds = JobStatus.PENDING, 0, ["pending"]

    def tick(self) -> float:
        self.time += 1.0
        return self.time

    @rule(worker=WORKERS)
    def look(self, worker: int):
        """Remember the row as it is now."""
        self.looks[worker] = self.store.read("ft-1")

    @rule(worker=WORKERS, to=st.sampled_from(JobStatus))
    def act(self, worker: int, to: JobStatus):
        """Try a transition: it happens exactly if it is drawn and the look still holds."""
        seen = self.looks[worker]
        owner = ProcessIdentity("host", "boot", worker, "1") if to == JobStatus.RUNNING else None
        error = "broken" if to == JobStatus.FAILED else None
        try:
            after = self.store.transition(seen, to, "", owner=owner, error=error)
        except JobStateError:
            assert to not in TRANSITIONS[seen.status]
            return
        assert to in TRANSITIONS[seen.status]
        fresh = (seen.status, seen.attempt) == (self.status, self.attempt)
        assert (after is not None) == fresh
        if fresh:
            self.status = to
            self.attempt += to == JobStatus.RUNNING
            self.kinds.append(to.value)

    @rule()
    def ask_to_cancel(self):
        """A request is kept exactly while the job runs, with one event."""
        asked_before = self.store.read("ft-1").requested_action is not None
        accepted = self.store.request_cancel("ft-1")
        assert accepted == (self.status == JobStatus.RUNNING)
        if accepted and not asked_before:
            self.kinds.append("cancel_requested")

    @rule(attempt=st.integers(0, 3))
    def beat(self, attempt: int):
        """Only the attempt that runs has a heartbeat."""
        lives = (self.status, self.attempt) == (JobStatus.RUNNING, attempt)
        assert self.store.beat("ft-1", attempt) == lives

    @invariant()
    def row_and_history_agree(self):
        """The row is what was done to it, and the events are all of it, in order."""
        record, events = self.store.read("ft-1"), self.store.events("ft-1")
        assert (record.status, record.attempt) == (self.status, self.attempt)
        assert [event.kind for event in events] == self.kinds
        assert (record.error is not None) == (record.status == JobStatus.FAILED)
        ids = [event.event_id for event in events]
        assert ids == sorted(set(ids))

    def teardown(self):
        self.home.cleanup()


TestTwoWorkers = TwoWorkers.TestCase
TestTwoWorkers.settings = settings(max_examples=20, stateful_step_count=20)
