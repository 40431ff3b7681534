"""Products with weights, in either order."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from modelops_jax.models._product import multiply


@pytest.mark.parametrize("rows", [1, 2, 32, 33])
def test_every_number_of_rows_has_the_same_product(rows):
    random = np.random.default_rng(rows)
    x = random.normal(size=(rows, 24)).astype(np.float32)
    weight = random.normal(size=(40, 24)).astype(np.float32)
    found = multiply(jnp.asarray(x), jnp.asarray(weight), appends=True)
    np.testing.assert_allclose(found, x @ weight.T, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("rows", "appends", "product"),
    [(2, True, "f32[40,2]"), (2, False, "f32[2,40]"), (33, True, "f32[33,40]")],
)
def test_a_few_rows_are_what_is_packed(rows, appends, product):
    shapes = jax.ShapeDtypeStruct((rows, 24), "float32"), jax.ShapeDtypeStruct((40, 24), "float32")
    text = (
        jax.jit(functools.partial(multiply, appends=appends)).lower(*shapes).compile().as_text()
        or ""
    )
    dots = [line.split(" = ")[1] for line in text.splitlines() if " dot(" in line]
    assert [line.split("{")[0] for line in dots] == [product]
