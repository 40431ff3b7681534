"""Teach a small language model to tell spam from ham with LoRA, and measure what it gained.

    make demo
    python training/lora_spam.py --config configs/lora_spam.toml training.seed=1

Needs `pip install "modelops-jax[demo]"` and `python -m modelops_jax.models smollm2-135m-instruct`.
Expected on 400 mails, from 0.00: exact match 0.935, 0.930, 0.945 (seeds 0, 1, 2; +-0.024 each).
"""

import argparse
from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.progress import Progress
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from modelops_jax import ConfusionMatrix, Dataset, ModelEvaluator, TaskType, reports
from modelops_jax.models import Model, load
from modelops_jax.training import fit, load_config, render_prompt


def column(rows: Dataset, key: str) -> list[str]:
    return [row[key] for row in rows]


def ask(model: Model, rows: Dataset, label: str) -> list[str]:
    prompts = [render_prompt(model.tokenizer, prompt) for prompt in column(rows, "prompt")]
    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task(label, total=len(rows))
        return model.generate(
            prompts, max_new_tokens=8, progress=lambda done, _: bar.update(task, completed=done)
        )


def score(name: str, rows: Dataset, answers: Sequence[str], note: str = "") -> reports.Score:
    evaluator = ModelEvaluator(TaskType.TEXT_GENERATION)
    result = evaluator.evaluate(column(rows, "completion"), answers, confidence=0.95)
    return reports.Score.from_result(name, result, "exact_match", note=note)


def confusion(rows: Dataset, answers: Sequence[str]) -> ConfusionMatrix:
    words, labels = [answer.strip() for answer in answers], column(rows, "completion")
    return ConfusionMatrix(labels, [word if word in labels else "other" for word in words])


def tfidf_baseline(train: Dataset, test: Dataset) -> list[str]:
    pipeline = make_pipeline(TfidfVectorizer(), LogisticRegression())
    search = GridSearchCV(pipeline, {"logisticregression__C": [0.1, 1, 10, 100, 1000]})
    fitted = search.fit(column(train, "prompt"), column(train, "completion"))
    return fitted.predict(column(test, "prompt")).tolist()


def main(argv: Sequence[str] | None = None) -> list[dict]:
    parser = argparse.ArgumentParser(description="Fine-tune on spam and ham, and report.")
    parser.add_argument("--config", default="configs/lora_spam.toml")
    parser.add_argument("overrides", nargs="*", metavar="key=value")
    arguments = parser.parse_args(argv)
    run = load_config(arguments.config, arguments.overrides)
    if run.data.test is None or run.data.eval_fraction is None:
        parser.error(f"{arguments.config}: this recipe needs data.test and data.eval_fraction")
    rows, test = Dataset.from_file(run.data.train), Dataset.from_file(run.data.test)
    held_out, train = rows.split(run.data.eval_fraction, run.training.seed)
    sample, _ = test.split(0.25, seed=0)  # the base model talks on, which takes time
    model = load(run.model, mesh=run.training.mesh)
    said = ask(model, sample, "base model")
    result = fit(model, train, config=run.training, eval=held_out, folder=run.output)
    answers = ask(result.model, test, "fine-tuned model")

    majority = Counter(column(rows, "completion")).most_common(1)[0][0]
    habit = Counter(said).most_common(1)[0][0]
    sampled = f"A fixed sample. Only the one right word counts; it most often says {habit!r}."
    tuned = "scikit-learn, regularisation chosen by cross-validation on the training rows."
    report = reports.FineTuningReport(
        title="Spam or ham?",
        summary=f"{run.model}, LoRA on {len(train)} mails, tested on {len(test)} it never saw.",
        before=score("Base model", sample, said, sampled),
        after=score("Fine-tuned model", test, answers),
        baselines=[
            score("Majority class", test, [majority] * len(test), f"Always says {majority!r}."),
            score("TF-IDF + logistic regression", test, tfidf_baseline(rows, test), tuned),
        ],
        history=result.history,
        confusions={"Before": confusion(sample, said), "After": confusion(test, answers)},
        examples=reports.pick_examples(column(test, "prompt"), answers, column(test, "completion")),
        facts={"Model": run.model, "Rows": str(len(train)), "Seed": str(run.training.seed)}
        | reports.training_facts(result.history)
        | reports.environment_facts(),
        config=run.to_toml(),
    )
    reports.print_summary(report)
    print(f"Report: {reports.write_html(report, run.output / 'report.html')}")
    return result.history


if __name__ == "__main__":
    main()
