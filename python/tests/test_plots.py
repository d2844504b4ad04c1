"""Pictures show the numbers."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from conftest import MODEL

import quipu


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_attention_of_a_head(trace):
    axes = trace.plot_attention(layer=2, head=3)
    np.testing.assert_array_equal(axes.images[0].get_array(), trace.attention(2, 3))
    assert axes.get_title() == "layer 2, head 3"
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels[:2] == ["0 '<|story|>'", "1 'Mia'"] and len(labels) == 18
    own = plt.subplots()[1]
    assert trace.plot_attention(1, 1, step=2, ax=own) is own
    assert [label.get_text() for label in own.get_yticklabels()] == ["19 '.'"]
    axes.figure.canvas.draw()


def test_attention_of_a_layer(trace):
    grid = trace.plot_attention(layer=1)
    assert grid.size == 9
    for head in range(8):
        np.testing.assert_array_equal(grid.flat[head].images[0].get_array(), trace.attention(1, head))
    assert not grid.flat[8].images
    with pytest.raises(quipu.QuipuError, match="axes of one head"):
        trace.plot_attention(1, ax=plt.subplots()[1])


def test_layers(trace):
    axes = trace.plot_layers("ns")
    assert [bar.get_height() for bar in axes.patches] == list(trace.layers()["ns"])
    with pytest.raises(quipu.QuipuError, match="the columns are"):
        trace.plot_layers("nothing")


def test_quant_errors():
    document = quipu.quant_errors(MODEL, as_=["Q4_0", "Q8_0"])
    axes = quipu.plot_quant_errors(document)
    lines = {line.get_label(): line for line in axes.lines}
    assert set(lines) == {"Q4_0", "Q8_0"}
    expected = {row["layer"]: 100 * row["rel_rmse"] for row in document["layers"] if row["type"] == "Q4_0"}
    np.testing.assert_array_equal(lines["Q4_0"].get_xdata(), range(4))
    np.testing.assert_allclose(lines["Q4_0"].get_ydata(), [expected[layer] for layer in range(4)])
    with pytest.raises(quipu.QuipuError, match="is no document of"):
        quipu.plot_quant_errors({})
