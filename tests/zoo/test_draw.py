from __future__ import annotations

import io
from itertools import combinations

import keras
import pytest
from matplotlib.patches import Polygon

import zoo
from zoo import draw


@pytest.mark.parametrize("name", zoo.list_models())
def test_no_label_touches_another_or_leaves_the_picture(name: str) -> None:
    picture = draw.draw_network(zoo.create_model(name))
    picture.draw_without_rendering()
    (axes,) = picture.axes
    boxes = {text.get_text(): text.get_window_extent() for text in axes.texts}
    labels = [(text.get_text(), text.get_window_extent()) for text in axes.texts]
    for (one, first), (other, second) in combinations(labels, 2):
        assert not first.shrunk(0.98, 0.8).overlaps(second.shrunk(0.98, 0.8)), (one, other)
    for label, box in labels:
        assert box.x0 >= 0, label
        assert box.y0 >= 0, label
        assert box.x1 <= picture.bbox.x1, label
        assert box.y1 <= picture.bbox.y1, label
    assert {"image", "logits"} <= boxes.keys()


def test_blocks_are_to_scale() -> None:
    picture = draw.draw_network(zoo.create_model("ltfn5"))
    (axes,) = picture.axes
    blue = [
        patch.get_xy()
        for patch in axes.patches
        if isinstance(patch, Polygon) and patch.get_alpha() == 1
    ]
    # The front of each block: corners counter-clockwise from lower left, the first repeated.
    sizes = [(corners[1][0] - corners[0][0], corners[3][1] - corners[0][1]) for corners in blue]
    _, layer1, _, pool1, layer3, _, pool2, _, _ = sizes
    assert layer1[1] == pytest.approx(2 * pool1[1]) == pytest.approx(4 * pool2[1])
    assert layer3[0] == pytest.approx(2 * layer1[0]) == pytest.approx(pool2[0])


def test_a_grey_image_is_a_sheet_not_a_block() -> None:
    picture = draw.draw_network(zoo.create_model("ltfn1"))
    front = picture.axes[0].patches[0]
    assert isinstance(front, Polygon)
    corners = front.get_xy()
    assert corners[1][0] - corners[0][0] < 0.05 * (corners[3][1] - corners[0][1])


def test_names_are_not_formulas() -> None:
    image = keras.Input((8, 8, 1), name="$_$")
    model = keras.Model(image, keras.layers.Flatten(name="a$^$b")(image), name="$\\female$")
    draw.draw_network(model).savefig(io.BytesIO(), format="svg")


def test_every_other_layer_that_changes_the_shape_is_a_plain_block() -> None:
    image = keras.Input((8, 8, 1), name="image")
    layers = keras.layers
    tensor = layers.SeparableConv2D(4, 3, strides=2, padding="same", name="separable")(image)
    tensor = layers.UpSampling2D(name="larger")(layers.ReLU()(tensor))
    tensor = layers.Conv2DTranspose(2, 3, name="transposed")(tensor)
    pooled = layers.GlobalMaxPooling2D(name="pooled")(tensor)
    model = keras.Model(image, keras.ops.reshape(pooled, (-1, 1, 2)))
    drawn = {volume.name: volume for volume in draw.volumes(model)}
    assert [(each.kind, each.lines[0], each.shape) for each in drawn.values()] == [
        ("image", "pixels", (8, 8, 1)),
        ("conv", "3x3 separable", (4, 4, 4)),
        ("image", "UpSampling2D", (8, 8, 4)),
        ("image", "Conv2DTranspose", (10, 10, 2)),
        ("pool", "global max", (1, 1, 2)),
        ("image", "Reshape", (1, 1, 2)),
    ]
    assert drawn["separable"].window == (3, 3)
    assert drawn["pooled"].window == (10, 10)


NOTE = "in the order of the layers; branches are not shown"


def _texts(model: keras.Model) -> list[str]:
    (axes,) = draw.draw_network(model).axes
    return [text.get_text() for text in axes.texts]


def test_that_branches_are_not_shown_is_said() -> None:
    image = keras.Input((8, 8, 1), name="image")
    one = keras.layers.Conv2D(4, 3, padding="same", name="one")(image)
    other = keras.layers.Conv2D(2, 3, padding="same", name="other")(image)
    joined = keras.layers.Concatenate(name="joined")([one, other])
    texts = _texts(keras.Model(image, joined))
    assert NOTE in texts
    assert texts[-3:] == ["joined", "8x8x6", "Concatenate"]
    assert NOTE in _texts(keras.Model(image, keras.layers.Add()([image, image])))
    assert NOTE not in _texts(keras.Model(image, one))


def test_a_layer_with_several_outputs_has_no_block() -> None:
    image = keras.Input((8, 8, 1), name="image")
    rows = keras.layers.Reshape((8, 8), name="rows")(image)
    last, _, _ = keras.layers.LSTM(5, return_state=True)(rows)
    model = keras.Model(image, keras.layers.Dense(3, name="logits")(last))
    assert [volume.name for volume in draw.volumes(model)] == ["image", "rows", "logits"]
    draw.draw_network(model)


def test_the_picture_says_what_the_network_does() -> None:
    told = {volume.name: volume for volume in draw.volumes(zoo.create_model("ltfn5-strided"))}
    assert list(told) == [
        "image",
        "layer1",
        "layer2",
        "layer3",
        "layer4",
        "flatten",
        "logits",
    ]
    assert told["layer2"].lines == ("3x3 conv", "same, stride 2")
    assert told["layer2"].shape == (14, 14, 64)
    assert (told["layer2"].window, told["layer2"].stride) == ((3, 3), 2)
