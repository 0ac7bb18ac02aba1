"""What holds of every method alike."""

from __future__ import annotations

import pytest
import torch

from napari_crii.benchmark.methods import METHODS, RIVALS, Setting, unimatch, weighted

# Another weight is no other method.
NAMES = [name for name in METHODS if not name.endswith(("_quarter", "_fourfold"))]


@pytest.mark.parametrize(("progress", "classes"), [(0.0, 2), (0.9, 2), (0.9, 4)])
@pytest.mark.parametrize("name", NAMES)
def test_the_loss_is_finite_and_teaches_every_part(
    step_of, name: str, progress: float, classes: int
) -> None:
    step = step_of(name, progress, classes=classes)
    loss = METHODS[name].objective(Setting(classes, largest_component=True))(step)
    loss.backward()
    assert float(loss.detach()) > 0
    heads = [p.grad for n, p in step.student.named_parameters() if "head" in n and "emb" not in n]
    assert heads
    assert all(g is not None and bool(torch.isfinite(g).all()) for g in heads)
    assert not step.teacher.training


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(17, 40), (32, 32)])
def test_what_is_tested_has_the_size_of_the_image(build, name: str, shape) -> None:
    method = METHODS[name]
    logits = method.logits(build(method), torch.randn(2, 1, *shape))
    assert logits.shape == (2, 2, *shape)


@pytest.mark.parametrize("name", NAMES)
def test_unlabelled_crops_matter_where_the_method_says_so(step_of, name: str) -> None:
    step = step_of(name)
    if not METHODS[name].unlabelled:
        assert step.batch.unlabelled is None
        return
    seen: list[int] = []
    original = type(step).passed

    def counted(self, function, *images, **settings):
        seen.append(len(images[0]))
        return original(self, function, *images, **settings)

    object.__setattr__(step, "passed", counted.__get__(step))
    METHODS[name].objective(Setting(2))(step)
    # Two labelled crops and nothing else would be two images in all.
    assert sum(seen) > 2


@pytest.mark.parametrize("name", RIVALS)
def test_the_weight_of_the_pool_multiplies_what_the_pool_teaches(
    step_of, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A network that has learnt nothing is never sure.
    monkeypatch.setattr(unimatch, "CONFIDENCE", 0.0)

    def loss(method) -> float:
        torch.manual_seed(0)
        return float(method.objective(Setting(2))(step_of(name)).detach())

    labelled = loss(weighted(RIVALS[name], 0.0))
    taught = loss(RIVALS[name]) - labelled
    assert taught != 0
    for word, factor in (("quarter", 0.25), ("fourfold", 4.0)):
        assert loss(METHODS[f"{name}_{word}"]) - labelled == pytest.approx(
            factor * taught, rel=1e-3, abs=1e-6
        )
