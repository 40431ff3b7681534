"""The commonest mistakes of type get a message that says what, where and what was expected.

Run in a process of its own: in this one the annotations of every function are enforced, which is
faster to object than our own checks.
"""

import subprocess
import sys

SCRIPT = """
import dataclasses
import json
import re
from pathlib import Path

import numpy as np
from modelops_jax import Dataset, DatasetSanitizer, FineTuningJob
from modelops_jax.evaluation import EvaluationResult, ModelEvaluator
from modelops_jax.metrics import accuracy_score, confidence_intervals, confusion_matrix, f1_score
from modelops_jax.metrics import metric
from modelops_jax.jobs import Generation
from modelops_jax.models import DecoderConfig, LinearScaling, LoraConfig, MeshShape, load
from modelops_jax.training import DataConfig, DpoLoss, GenerationConfig, RunConfig, TrainingConfig
from modelops_jax.training import config_from_dict, fit, plan

rows = [{"prompt": "a", "completion": "b"}]
good = Dataset(rows)
model = load("tiny")
config = TrainingConfig(max_steps=1)
squares = {"mse": metric("mean_squared_error")}


def evaluate(**asked):
    return ModelEvaluator("regression").evaluate([1.0], [1.0], **asked)


def decoder(**sizes):
    return dataclasses.replace(model.config, **sizes)


def answer(**asked):
    return model.generate(["a"], **{"max_new_tokens": 1} | asked)


CALLS = [
    (lambda: Dataset.from_file(0), "path: found int 0, expected the path of a file"),
    (lambda: Dataset.from_file(None), "path: found NoneType None, expected the path"),
    (lambda: good["a"], "row: found str 'a', expected an index or a slice"),
    (lambda: good.split("a", 0), "fraction: found str 'a', expected a number"),
    (lambda: DatasetSanitizer().filter_by_length(good, min_length="a"), "min_length: found str"),
    (lambda: DatasetSanitizer().filter_by_length(good, max_length=None), "max_length: found None"),
    (lambda: FineTuningJob(None, good), "base_model: found NoneType, expected a model's name"),
    (lambda: FineTuningJob("tiny", rows).run(), "dataset: found list, expected a Dataset"),
    (lambda: FineTuningJob("tiny", good, eval_dataset=rows).run(), "eval_dataset: found list"),
    (lambda: FineTuningJob("tiny", good, config={}), "config: found dict, expected a TrainingConf"),
    (lambda: fit("tiny", good, config=config), "model: found str, expected a Model"),
    (lambda: plan(3, good, config=config), "model: found int, expected a model's name or path"),
    (lambda: fit(model, good, config={}), "config: found dict, expected a TrainingConfig"),
    (lambda: fit(model, rows, config=config), "the training dataset is a list; expected a Data"),
    (lambda: fit(model, good, config=config, progress="z"), "progress must be one of .* found 'z'"),
    (lambda: TrainingConfig(max_steps=1.5), "training.max_steps must be an integer, found 1.5"),
    (lambda: f1_score([1], [1], positive_class="a"), "positive_class must be an integer, not 'a'"),
    (lambda: accuracy_score([1], [1], ignore_index="a"), "ignore_index must be an integer, not 'a"),
    (lambda: accuracy_score([1], [1], ignore_index=True), "ignore_index must be an integer, not T"),
    (lambda: confusion_matrix([1], [1], num_classes=2.0), "num_classes must be an integer, not 2."),
    (lambda: metric("f1_score", average="macro", num_labels="a"), "num_labels must be an integer"),
    (lambda: metric("fbeta_score", beta="two"), "beta must be a number, not 'two'"),
    (lambda: metric("chrf_score", beta=None), "beta must be a number, not None"),
    (lambda: metric("mean_pinball_loss", alpha="0.5"), "alpha must be a number, not '0.5'"),
    (lambda: metric("huber_loss", delta=[1]), r"delta must be a number, not \\[1"),
    (lambda: metric("mean_tweedie_deviance", power="p"), "power must be a number, not 'p'"),
    (lambda: metric("roc_auc_score", max_fpr="0.1"), "max_fpr must be a number, not '0.1'"),
    (lambda: metric("top_k_accuracy_score", k=1.5), "k must be an integer, not 1.5"),
    (lambda: metric("pass_at_k", k=True), "k must be an integer, not True"),
    (lambda: metric("bleu_score", max_ngram_order=2.0), "max_ngram_order must be an integer, not"),
    (lambda: metric("expected_calibration_error", bins=2.5), "bins must be an integer, not 2.5"),
    (lambda: confidence_intervals(squares, [1.0], [1.0], seed=None), "seed must be an integer, n"),
    (lambda: evaluate(confidence="0.95"), "confidence is '0.95'; expected None or a level in"),
    (lambda: evaluate(confidence=0.9, seed=None), "seed is None; expected an integer of at leas"),
    (lambda: evaluate(n_resamples=2.5), "n_resamples is 2.5; expected an integer of at least 2"),
    (lambda: EvaluationResult.from_dict(None), "the data are a NoneType; expected a dict"),
    (lambda: evaluate(slices=["a"]), "slices is a list; expected a dict of name -> labels"),
    (lambda: evaluate(slices={1: [1]}), "slices has the key 1; expected a name, or a tuple of n"),
    (lambda: answer(max_new_tokens=3.0), "max_new_tokens must be an integer, not 3.0"),
    (lambda: answer(top_k=2.0), "top_k must be an integer, not 2.0"),
    (lambda: answer(top_k=True), "top_k must be an integer, not True"),
    (lambda: answer(seed="1"), "seed must be an integer, not '1'"),
    (lambda: answer(temperature="0.7"), "temperature must be a number, not '0.7'"),
    (lambda: answer(top_p="0.9"), "top_p must be a number, not '0.9'"),
    (lambda: answer(stop_ids=[259, "2"]), r"stop_ids\\[1\\] must be an integer, not '2'"),
    (lambda: answer(stop_ids="259"), "stop_ids must be a list of integers, found '259'"),
    (lambda: answer(stop_ids=259), "stop_ids must be a list of integers, found 259"),
    (lambda: TrainingConfig(max_length="a"), "training.max_length must be an integer, found 'a'"),
    (lambda: TrainingConfig(optimizer="adam"), "training.optimizer must be one of 'adamw', "),
    (lambda: GenerationConfig(max_new_tokens=3.0), "generate.max_new_tokens must be an integer, f"),
    (lambda: GenerationConfig(every=True), "generate.every must be an integer, found True"),
    (lambda: GenerationConfig(rows="8"), "generate.rows must be an integer, found '8'"),
    (lambda: GenerationConfig("exact_match"), "generate.metrics must be a list of strings, found"),
    (lambda: DpoLoss(beta="0.1"), "dpo.beta must be a number, found '0.1'"),
    (lambda: DataConfig(train=3), "data.train must be a path, found 3"),
    (lambda: DataConfig("rows.jsonl", eval_fraction="0.1"), "data.eval_fraction must be a number"),
    (lambda: RunConfig(model, "out", DataConfig("a")), "model must be a string, found Model"),
    (lambda: RunConfig("tiny", "out", DataConfig("a"), labels="yes"), "labels must be a list of"),
    (lambda: Generation(max_new_tokens=3.0), "max_new_tokens must be an integer, not 3.0"),
    (lambda: Generation(max_new_tokens=0), "max_new_tokens must be at least 1, found 0"),
    (lambda: Generation(temperature="hot"), "temperature must be a number, not 'hot'"),
    (lambda: Generation(top_p=1.5), r"top_p must be in \\(0, 1], found 1.5"),
    (lambda: Generation(seed=-1), "seed must be 0 or positive and below .* found -1"),
    (lambda: LoraConfig(rank=8.0), "lora.rank must be an integer, not 8.0"),
    (lambda: LoraConfig(alpha="16"), "lora.alpha must be a number, not '16'"),
    (lambda: LoraConfig(dropout=None), "lora.dropout must be a number, not None"),
    (lambda: LoraConfig(targets="q_proj"), "lora.targets must be a list of strings, not 'q_proj'"),
    (lambda: LoraConfig(dora="no"), "lora.dora must be True or False, not 'no'"),
    (lambda: MeshShape(data=2.0), "mesh.data must be an integer, not 2.0"),
    (lambda: MeshShape(tensor=True), "mesh.tensor must be an integer, not True"),
    (lambda: decoder(num_layers=2.0), "DecoderConfig.num_layers must be an integer, not 2.0"),
    (lambda: decoder(rope_theta="1e4"), "DecoderConfig.rope_theta must be a number, not '1e4'"),
    (lambda: decoder(tie_word_embeddings=1), "tie_word_embeddings must be True or False, not 1"),
    (lambda: decoder(labels="ham"), "DecoderConfig.labels must be a list of strings, not 'ham'"),
    (lambda: LinearScaling("2"), "LinearScaling.factor must be a number, not '2'"),
]
for number, (call, message) in enumerate(CALLS):
    try:
        call()
    except (TypeError, ValueError) as error:
        assert re.search(message, str(error)), (number, str(error))
    else:
        raise AssertionError(f"call {number} was accepted")
print(len(CALLS), "refused")

# NumPy's numbers, and lists, are what a file would say: the same when compared, hashed or written.
config = TrainingConfig(
    max_steps=np.int64(3),
    learning_rate=np.float32(0.5),
    freeze=["model.norm.*"],
    generate=GenerationConfig(["exact_match"], rows=np.int64(2)),
    mesh=MeshShape(data=np.int64(2)),
)
written = json.loads(json.dumps(dataclasses.asdict(config)))
assert config_from_dict(written) == config
adapted = LoraConfig(rank=np.int64(2), targets=["q_*", "v_*"])
assert hash(adapted) == hash(LoraConfig(rank=2, targets=("q_*", "v_*")))
assert hash(decoder(labels=["ham", "spam"])) == hash(decoder(labels=("ham", "spam")))
json.dumps(vars(Generation(seed=np.int64(1), temperature=np.float32(0.5))))
paths = RunConfig("tiny", "out", DataConfig("rows.jsonl"))
assert (paths.output, paths.data.train) == (Path("out"), Path("rows.jsonl"))
print("and their equals taken")
"""


def test_wrong_types_are_named():
    """Each is refused, in words of our own."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.endswith("refused\nand their equals taken\n")
