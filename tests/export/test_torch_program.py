"""A `torch.export` program gives what its model gives, without geoseg."""

from __future__ import annotations

from pathlib import Path

import torch

import geoseg
from geoseg.export.agreement import generated_tiles
from geoseg.export.torch_program import CARD_FILE, write_program
from geoseg.export.traced import Probabilities
from geoseg.models import Card, Model, load_card


def test_the_program_gives_the_models_probabilities_and_holds_its_card(
    exported_model: Model, tmp_path: Path
) -> None:
    path = tmp_path / "model.pt2"
    write_program(exported_model, path, generated_tiles(exported_model.card, [48]))
    files = {CARD_FILE: ""}
    program = torch.export.load(path, extra_files=files).module()
    assert Card.from_json(files[CARD_FILE]) == exported_model.card
    (tmp_path / "card.yaml").write_text("classes: [of, another]")  # is not this file's
    assert load_card(path).classes == exported_model.card.classes
    image = torch.randn(3, 2, 50, 41)
    torch.testing.assert_close(
        program(image), Probabilities(exported_model.net).eval()(image), atol=1e-6, rtol=1e-5
    )


def test_encoders_that_pad_as_tensorflow_does_become_programs_for_any_size(
    exported_model: Model, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    options = {"encoder": "tu-tf_efficientnet_lite0", "output_stride": 16, "channels": 16}
    net = geoseg.create_model("fcn", classes=3, in_channels=2, **options).eval()
    model = Model(net, exported_model.card.model_copy(update={"spec": net.spec}))
    write_program(model, tmp_path / "model.pt2", generated_tiles(model.card, [96]))
    program = torch.export.load(tmp_path / "model.pt2").module()
    for size in ((1, 2, 32, 48), (2, 2, 128, 80)):
        image = torch.randn(size)
        torch.testing.assert_close(program(image), Probabilities(net)(image), atol=1e-5, rtol=1e-4)
