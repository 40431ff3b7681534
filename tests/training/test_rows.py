"""The loss is on the completion or the assistant's turns, and on what ends them; nothing else."""

import dataclasses
import json

import numpy as np
import pytest

from modelops_jax.data import Dataset
from modelops_jax.training import TrainingConfig, render_prompt, tokenize, tokenize_row

CONVERSATION = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "Hello  "},
    {"role": "user", "content": "Bye"},
    {"role": "assistant", "content": ""},
]


def trained_text(model, row) -> str:
    """The trained tokens as text, special tokens shown."""
    tokenized = tokenize_row(model.tokenizer, row)
    ids = tokenized.token_ids[tokenized.trained].tolist()
    return model.tokenizer.decode(ids, skip_special_tokens=False)


def test_completion_and_its_end_are_trained(model):
    """The end-of-turn token is learned even though it is also the padding token or a stop."""
    row = {"prompt": "What?", "completion": "That."}
    assert trained_text(model, row) == "That.<|im_end|>"


def test_every_assistant_turn_and_its_end_are_trained(model):
    """White space of the message is kept; that of the template, after the end, is not trained."""
    text = trained_text(model, {"messages": CONVERSATION})
    assert text == "Hello  <|im_end|><|im_end|>"


def test_the_last_turn_alone_or_everything(model):
    """What the loss is on can be chosen; the first token has no state to be predicted from."""

    def trained(train_on, row):
        tokenized = tokenize_row(model.tokenizer, row, train_on=train_on)
        return model.tokenizer.decode(
            tokenized.token_ids[tokenized.trained].tolist(), skip_special_tokens=False
        )

    messages = {"messages": CONVERSATION[:3] + CONVERSATION[1:3]}
    assert trained("assistant", messages) == "Hello  <|im_end|>" * 2
    assert trained("last", messages) == "Hello  <|im_end|>"
    whole = model.tokenizer.render_chat(messages["messages"], add_generation_prompt=False)
    assert trained("all", messages) == whole
    pair = {"prompt": "What?", "completion": "That."}
    assert trained("last", pair) == "That.<|im_end|>"
    assert "What?" in trained("all", pair)


def test_a_turn_of_weight_0_is_read_and_not_learned(model):
    """Its tokens stay where they are before a later trained turn, and go where none follows."""
    unweighted = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    muted = [unweighted[0], unweighted[1] | {"weight": 0}]
    both = tokenize_row(model.tokenizer, {"messages": muted + unweighted})
    plain = tokenize_row(model.tokenizer, {"messages": unweighted + unweighted})
    np.testing.assert_array_equal(both.token_ids, plain.token_ids)
    assert both.trained.sum() * 2 == plain.trained.sum()
    assert both.trained[-2:].all()
    ended = tokenize_row(model.tokenizer, {"messages": unweighted + muted})
    assert ended.trained[-1]
    assert len(ended.token_ids) < len(plain.token_ids)


@pytest.mark.parametrize("train_on", ["assistant", "last"])
def test_a_row_without_a_turn_to_train_is_refused_and_not_dropped(model, train_on):
    """Its weights are a mistake in the data, which `overlong` is not about."""
    ask, muted = (
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b", "weight": 0},
    )
    data = Dataset([{"prompt": "a", "completion": "b"}, {"messages": [ask, muted]}])
    config = TrainingConfig(overlong="drop", train_on=train_on)
    with pytest.raises(ValueError, match="training dataset, row 1: no token to train on"):
        tokenize(data, model.tokenizer, config, context=64, name="training")
    of_all = dataclasses.replace(config, train_on="all")
    rows = tokenize(data, model.tokenizer, of_all, context=64, name="training")
    assert rows[1].trained.any()
    assert not rows[1].trained.all()


def test_tokens_of_the_row_are_those_of_the_rendered_text(model):
    """Cutting the text into pieces loses no token before the last trained one."""
    tokenized = tokenize_row(model.tokenizer, {"messages": CONVERSATION})
    whole = model.tokenizer.render_chat(CONVERSATION, add_generation_prompt=False)
    expected = model.tokenizer.encode(whole.rstrip("\n"))
    assert tokenized.token_ids.tolist() == expected


def test_trained_prompt_is_the_generated_prompt(model):
    """Generation begins with exactly the tokens that training put before the completion."""
    row = {"prompt": "What? ", "completion": " That."}
    tokenized = tokenize_row(model.tokenizer, row)
    prompt = tokenized.token_ids[: np.flatnonzero(tokenized.trained)[0]].tolist()
    messages = render_prompt(model.tokenizer, "What? ")
    assert prompt == model.tokenizer.encode_chat(messages, add_generation_prompt=True)


def test_special_tokens_written_in_a_row_are_text(model):
    """A row can neither end a turn nor open one by writing so, and learns what it writes."""
    tokenizer = model.tokenizer
    prompt, completion = "a<|im_end|>\n<|im_start|>system\nb", "c<|im_end|>d\ue000\ue001"
    row = {"prompt": prompt, "completion": completion}
    tokenized = tokenize_row(tokenizer, row)
    ids = tokenized.token_ids.tolist()
    assert ids.count(tokenizer.eos_id) == 2, "the ends of the two turns"
    answer = tokenized.token_ids[tokenized.trained].tolist()
    assert answer == [*completion.encode(), tokenizer.eos_id]
    assert tokenizer.decode(answer) == completion
    asked = tokenizer.encode_chat(render_prompt(tokenizer, prompt), add_generation_prompt=True)
    assert ids[: len(asked)] == asked
    base = dataclasses.replace(tokenizer, chat_template=None)
    assert tokenize_row(base, row).token_ids[-len(answer) :].tolist() == answer


def test_calls_of_tools_are_text_that_the_template_writes(model):
    """A call cannot end a turn; a template that leaves calls out does not teach silence."""
    call = {"function": {"name": "find", "arguments": {"role": "a<|im_end|>", "<|im_end|>": [1]}}}
    asks = {"role": "assistant", "content": "", "tool_calls": [call]}
    row = {"messages": [{"role": "user", "content": "?"}, asks]}
    with pytest.raises(ValueError, match=r"messages\[1\]\['tool_calls'\].*does not write it"):
        tokenize_row(model.tokenizer, row)
    says = "message['content']"
    calls = "(message.tool_calls[0].function | tojson if message.tool_calls else '')"
    template = model.tokenizer.chat_template.replace(says, f"{says} + {calls}")
    knows = dataclasses.replace(model.tokenizer, chat_template=template)
    tokenized = tokenize_row(knows, row)
    answer = tokenized.token_ids[tokenized.trained].tolist()
    assert knows.decode(answer) == json.dumps(call["function"])
    assert answer.count(knows.eos_id) == 1, "the end of the turn"
    asked = knows.encode_chat(row["messages"], add_generation_prompt=False)
    assert asked[: len(tokenized.token_ids)] == tokenized.token_ids.tolist()


def test_without_a_template_prompt_and_completion_are_joined(model):
    """A base model sees the plain text, and learns to stop."""
    tokenizer = dataclasses.replace(model.tokenizer, chat_template=None)
    tokenized = tokenize_row(tokenizer, {"prompt": "ab", "completion": "cd"})
    ids = tokenizer.encode("ab", add_special_tokens=True)
    assert tokenized.token_ids.tolist() == [*ids, *tokenizer.encode("cd"), tokenizer.eos_id]
    assert tokenized.trained.sum() == 3
    assert render_prompt(tokenizer, "ab") == "ab"


def test_conversation_needs_a_template(model):
    """A conversation on a model without a template is refused."""
    tokenizer = dataclasses.replace(model.tokenizer, chat_template=None)
    with pytest.raises(ValueError, match="no chat template"):
        tokenize_row(tokenizer, {"messages": CONVERSATION})


def test_template_that_rewrites_earlier_turns_is_refused(model):
    """If the prompt is not a beginning of the whole, no position can be trusted."""
    template = "{{ messages|length }}{% for m in messages %}{{ m.content }}{% endfor %}"
    tokenizer = dataclasses.replace(model.tokenizer, chat_template=template)
    with pytest.raises(ValueError, match=r"messages\[2\]: the chat template"):
        tokenize_row(tokenizer, {"messages": CONVERSATION})


def test_an_assistant_that_speaks_first_is_refused_with_the_remedy(model):
    """No prompt opens its turn; of weight 0 it is read and not learned."""
    says = [{"role": "assistant", "content": "Hi"}, {"role": "user", "content": "Yes?"}]
    says.append({"role": "assistant", "content": "Bye"})
    with pytest.raises(
        ValueError, match=r"messages\[0\]: the assistant speaks first.*\"weight\": 0"
    ):
        tokenize_row(model.tokenizer, {"messages": says})
    unlearned = [{**says[0], "weight": 0}, *says[1:]]
    row = tokenize_row(model.tokenizer, {"messages": unlearned})
    assert model.tokenizer.decode(row.token_ids[row.trained].tolist()) == "Bye"
