"""Which evaluation is the best so far, and when patience ends."""

import json

from modelops_jax.training._monitor import Monitor


def test_patience_counts_evaluations_with_the_value_and_never_takes_nan():
    """Higher is better here; an equal value is not better."""
    monitor = Monitor("eval_a", 2, {"eval_a": True})
    seen = [
        monitor.see(step, values)
        for step, values in enumerate(
            [
                {"eval_a": float("nan")},
                {"eval_a": 0.5},
                {"eval_b": 1.0},
                {"eval_a": 0.5},
                {"eval_a": 0.1},
            ]
        )
    ]
    assert seen == [False, False, False, False, True]
    assert monitor.best == (1, 0.5)


def test_a_value_that_leaves_out_fewer_answers_is_better_whatever_it_is():
    """Else a model with one lucky number would stay the best; a checkpoint keeps the count."""
    directions = {"eval_a": False}
    monitor = Monitor("eval_a", None, directions)

    def see(step, value, left_out):
        monitor.see(step, {"eval_a": value, "eval_a_left_out": left_out})
        return monitor.best_step

    assert [see(1, 0.0, 9), see(2, 5.0, 2), see(3, 4.0, 3), see(4, 4.0, 2)] == [1, 2, 2, 4]
    resumed = Monitor("eval_a", None, directions)
    resumed.restore(json.loads(json.dumps(monitor.facts())))
    resumed.see(5, {"eval_a": 6.0, "eval_a_left_out": 1})
    assert resumed.best == (5, 6.0)
