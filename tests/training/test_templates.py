"""What the loss is on, for the template of every family: the assistant's turns and their ends."""

import contextlib
import dataclasses
import json
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import tokenizers

from modelops_jax.data import Dataset
from modelops_jax.models import ChatTemplateError, Tokenizer, load
from modelops_jax.training import (
    DpoLoss,
    NoEndOfTurnWarning,
    TrainingConfig,
    render_prompt,
    tokenize,
    tokenize_row,
)
from modelops_jax.training._examples import read_examples

from .templates import SPECIAL, TEMPLATES

# Content that a template trims and content that it does not, an end of turn written out, no text.
ANSWERS = ["Hello", "Two\nlines", "<|im_end|> is text", "42"]


@pytest.fixture(scope="module")
def backend() -> tokenizers.Tokenizer:
    """Bytes, and the special tokens of all templates."""
    text = load("tiny").tokenizer.backend.to_str()
    backend = tokenizers.Tokenizer.from_str(text)
    backend.add_special_tokens(list(SPECIAL))
    return backend


def id_of(backend: tokenizers.Tokenizer, token: str) -> int:
    """The id of a token that is there."""
    found = backend.token_to_id(token)
    assert found is not None
    return found


@pytest.fixture(params=TEMPLATES)
def tokenizer(request: pytest.FixtureRequest, backend: tokenizers.Tokenizer) -> Tokenizer:
    """A tokenizer with one of the templates, that pads with the token that ends a turn."""
    template, end = TEMPLATES[request.param]
    end_id = id_of(backend, end)
    return Tokenizer(backend, id_of(backend, "<s>"), end_id, end_id, (end_id,), template)


def conversation(answers: list[str]) -> list[dict[str, str]]:
    """Users who ask, and an assistant who answers."""
    roles = ("user", "assistant")
    texts = [text for answer in answers for text in (f"Say {answer!r}!", answer)]
    return [{"role": roles[at % 2], "content": text} for at, text in enumerate(texts)]


def text_of(tokenizer: Tokenizer, ids: np.ndarray) -> str:
    """The tokens as text, special ones shown."""
    return tokenizer.decode(ids.tolist(), skip_special_tokens=False)


def written(tokenizer: Tokenizer, answer: str, *, last: bool = True) -> str:
    """An answer as the template writes it after the prompt, up to the end of its turn."""
    assert tokenizer.chat_template is not None
    before = ""
    if tokenizer.chat_template == TEMPLATES["mistral"][0]:
        before = " "
    if tokenizer.chat_template == TEMPLATES["qwen3"][0] and last:
        before = "<think>\n\n</think>\n\n"
    return before + answer + text_of(tokenizer, np.asarray([tokenizer.eos_id]))


def turns_of(tokenizer: Tokenizer) -> list[str]:
    """All answers, or one where the template rewrites the earlier ones."""
    return ANSWERS[:1] if tokenizer.chat_template == TEMPLATES["qwen3"][0] else ANSWERS


def test_acceptance_2_the_end_of_a_turn_is_trained_though_it_pads(tokenizer: Tokenizer):
    """Positions decide, never ids: the ends in the prompt are not trained, the answers' are."""
    answers = turns_of(tokenizer)
    row = tokenize_row(tokenizer, {"messages": conversation(answers)})
    assert tokenizer.pad_id == tokenizer.eos_id
    ends = row.token_ids == tokenizer.eos_id
    assert (ends & row.trained).sum() == len(answers)
    assert row.trained[-1]
    if tokenizer.chat_template != TEMPLATES["mistral"][0]:  # its users' turns end otherwise
        assert (ends & ~row.trained).sum() >= len(answers)


@pytest.mark.parametrize("config", [TrainingConfig(), TrainingConfig(dpo=DpoLoss())])
def test_a_template_that_ends_no_answer_is_warned_of(model, backend, tokenizer, config):
    """By the token it should write; templates that end their answers are taken in silence."""
    rows = Dataset([{"prompt": "a", "chosen": "b", "rejected": "c"}])
    if config.dpo is None:
        rows = Dataset([{"prompt": "a", "completion": "b"}])
    endless = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"
    endless += "{% if add_generation_prompt %}<assistant>{% endif %}"
    for template, warns in ((endless, True), (tokenizer.chat_template, False), (None, False)):
        own = dataclasses.replace(tokenizer, chat_template=template)
        described = dataclasses.replace(model, tokenizer=own)
        end = backend.id_to_token(tokenizer.eos_id)
        expected = pytest.warns(NoEndOfTurnWarning, match=re.escape(f"template write '{end}'"))
        with expected if warns else contextlib.nullcontext():
            read_examples(described, rows, config, name="training")


def test_acceptance_3_trained_tokens_are_the_assistants_turns(tokenizer: Tokenizer):
    """Decoded, they are every answer and its end; all tokens together are the rendered whole."""
    messages = conversation(turns_of(tokenizer))
    row = tokenize_row(tokenizer, {"messages": messages})
    expected = [written(tokenizer, message["content"]) for message in messages[1::2]]
    assert text_of(tokenizer, row.token_ids[row.trained]) == "".join(expected)
    whole = tokenizer.render_chat(messages, add_generation_prompt=False)
    assert text_of(tokenizer, row.token_ids) == whole.rstrip("\n")
    # What comes before the answer is what the model is given when it is asked.
    asked = tokenizer.encode_chat(messages[:1], add_generation_prompt=True)
    first = np.flatnonzero(row.trained)[0]
    assert row.token_ids[:first].tolist() == asked


def test_acceptance_3_prompt_and_completion_are_a_conversation(tokenizer: Tokenizer):
    """The completion and its end are trained, after the prompt that `generate` is given."""
    row = tokenize_row(tokenizer, {"prompt": "Say it!", "completion": "Hello"})
    assert text_of(tokenizer, row.token_ids[row.trained]) == written(tokenizer, "Hello")
    asked = render_prompt(tokenizer, "Say it!")
    assert not isinstance(asked, str)
    prompt = tokenizer.encode_chat(asked, add_generation_prompt=True)
    assert row.token_ids[~row.trained].tolist() == prompt


def test_acceptance_3_a_rewritten_turn_is_refused_by_its_row(tokenizer: Tokenizer):
    """A template that writes an earlier answer otherwise trains the last one, or refuses."""
    rows = Dataset([{"messages": conversation(["Hi"])}, {"messages": conversation(ANSWERS)}])
    refuses = tokenizer.chat_template == TEMPLATES["qwen3"][0]
    options = {"context": 1024, "name": "training"}
    if refuses:
        message = r"training dataset, row 1: messages\[1\]: the chat template does not render"
        with pytest.raises(ValueError, match=message):
            tokenize(rows, tokenizer, TrainingConfig(), **options)
    else:
        assert len(tokenize(rows, tokenizer, TrainingConfig(), **options)) == 2
    last = tokenize(rows, tokenizer, TrainingConfig(train_on="last"), **options)
    found = [text_of(tokenizer, row.token_ids[row.trained]) for row in last]
    assert found == [written(tokenizer, "Hi"), written(tokenizer, ANSWERS[-1])]


def test_acceptance_4_a_row_whose_answer_lies_past_the_context(tokenizer: Tokenizer):
    """It is never cut to a prompt without an answer: refused by its row, or left out aloud."""
    long = {"prompt": "Say it! " * 20, "completion": "Hello"}
    rows = Dataset([{"prompt": "Say it!", "completion": "Hello"}, long])
    options = {"context": 160, "name": "training"}
    with pytest.raises(ValueError, match="longer than 160 tokens; the first is row 1 with"):
        tokenize(rows, tokenizer, TrainingConfig(), **options)
    with pytest.warns(UserWarning, match="the first is row 1 with .*; they are left out"):
        kept = tokenize(rows, tokenizer, TrainingConfig(overlong="drop"), **options)
    assert len(kept) == 1
    assert kept.trained_counts.tolist() == [
        len(written(tokenizer, "Hello"))
        - len(text_of(tokenizer, np.asarray([tokenizer.eos_id])))
        + 1
    ]


def test_acceptance_4_a_row_from_a_file_is_named_by_its_line_too(tmp_path: Path):
    """Also in a part of the dataset, where its index is another one."""
    long = {"prompt": "Say it! " * 20, "completion": "Hello"}
    short = {"prompt": "Say it!", "completion": "Hello"}
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n\n" for row in (short, short, long)))
    part = Dataset.from_file(path)[1:]
    assert part.place(-1) == "row 1 (line 5)"
    assert pickle.loads(pickle.dumps(part)).place(1) == "row 1 (line 5)"
    options = {"context": 160, "name": "training"}
    with pytest.raises(ValueError, match=r"the first is row 1 \(line 5\) with"):
        tokenize(part, load("tiny").tokenizer, TrainingConfig(), **options)


def test_a_system_message_is_read_or_refused(tokenizer: Tokenizer):
    """By the template's own words where it takes none."""
    messages = [{"role": "system", "content": "Be brief."}, *conversation(["Hi"])]
    if tokenizer.chat_template in (TEMPLATES["gemma"][0], TEMPLATES["mistral"][0]):
        with pytest.raises(ChatTemplateError, match=r"not supported|are supported"):
            tokenize_row(tokenizer, {"messages": messages})
        return
    row = tokenize_row(tokenizer, {"messages": messages})
    assert text_of(tokenizer, row.token_ids[row.trained]) == written(tokenizer, "Hi")
    assert "Be brief." in text_of(tokenizer, row.token_ids)


def test_a_template_that_trims_trains_what_it_writes(tokenizer: Tokenizer):
    """White space around an answer is trained exactly where the template keeps it."""
    row = tokenize_row(tokenizer, {"prompt": "Say it!", "completion": "  Hello  "})
    trims = tokenizer.chat_template in (TEMPLATES["llama-3"][0], TEMPLATES["gemma"][0])
    kept = "Hello" if trims else "  Hello  "
    assert text_of(tokenizer, row.token_ids[row.trained]) == written(tokenizer, kept)


def test_a_muted_turn_is_read_and_not_trained(tokenizer: Tokenizer):
    """Weight 0 on the first answer; the tokens stay."""
    messages = conversation(["Hi", "Bye"])
    muted = [messages[0], messages[1] | {"weight": 0}, *messages[2:]]
    row = tokenize_row(tokenizer, {"messages": muted})
    assert text_of(tokenizer, row.token_ids[row.trained]) == written(tokenizer, "Bye")
    whole = tokenizer.render_chat(messages, add_generation_prompt=False)
    assert text_of(tokenizer, row.token_ids) == whole.rstrip("\n")
    last = [messages[2], messages[3] | {"weight": 0}]
    assert not tokenize_row(tokenizer, {"messages": last}).trained.any()
    if tokenizer.chat_template == TEMPLATES["qwen3"][0]:  # rewrites earlier turns
        with pytest.raises(ValueError, match=r"messages\[1\]: the chat template does not render"):
            tokenize_row(tokenizer, {"messages": muted}, train_on="all")
        muted, whole = last, tokenizer.render_chat(last, add_generation_prompt=False)
    everything = tokenize_row(tokenizer, {"messages": muted}, train_on="all")
    assert text_of(tokenizer, everything.token_ids) == whole
    left_out = text_of(tokenizer, everything.token_ids[~everything.trained])
    assert left_out == written(tokenizer, "Bye" if muted is last else "Hi")


def test_a_model_without_a_template_trains_the_completion(backend: tokenizers.Tokenizer):
    """And its end, which is also what pads."""
    end = id_of(backend, "</s>")
    base = Tokenizer(backend, None, end, end, (end,), None)
    row = tokenize_row(base, {"prompt": "2+2=", "completion": "4"})
    assert text_of(base, row.token_ids[row.trained]) == "4</s>"
    with pytest.raises(ValueError, match="no chat template"):
        tokenize_row(base, {"messages": conversation(["Hi"])})
