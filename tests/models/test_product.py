"""Products with weights, in either order."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from modelops_jax.models._product import multiply


@pytest.mark.parametrize("rows", [1, 2, 32, 33])
def test_every_number_of_rows_has_the_same_product(rows):
    random = np.random.default_rng(rows)
    x, weight = random.normal(size=(rows, 24)), random.normal(size=(40, 24))
    expected = x @ weight.T

    def loss(x, weight):
        return jnp.square(multiply(x, weight)).sum()

    found = multiply(jnp.float32(x), jnp.float32(weight))
    of_x, of_weight = jax.grad(loss, argnums=(0, 1))(jnp.float32(x), jnp.float32(weight))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(of_x, 2 * expected @ weight, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(of_weight, 2 * expected.T @ x, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(("rows", "product"), [(2, "f32[40,2]"), (33, "f32[33,40]")])
def test_a_few_rows_are_what_is_packed(rows, product):
    shapes = jax.ShapeDtypeStruct((rows, 24), "float32"), jax.ShapeDtypeStruct((40, 24), "float32")
    text = jax.jit(multiply).lower(*shapes).compile().as_text() or ""
    dots = [line.split(" = ")[1] for line in text.splitlines() if " dot(" in line]
    assert [line.split("{")[0] for line in dots] == [product]
