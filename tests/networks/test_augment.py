"""Photographs are mirrored and shifted by whole pixels: nothing is blurred, nothing is lost but at the border."""

import torch

from models.networks.augment import mirror_and_shift


def test_each_image_is_the_old_one_or_its_mirror_image_a_few_pixels_aside() -> None:
    images = torch.rand(40, 3, 12, 12, generator=torch.Generator().manual_seed(1))
    changed = mirror_and_shift(images, torch.Generator().manual_seed(2), most=2)
    kinds = set()
    for image, other in zip(images, changed, strict=True):
        inner = other[:, 2:-2, 2:-2]
        found = [
            (mirrored, down, right)
            for mirrored in (False, True) for down in range(5) for right in range(5)
            if torch.equal((image.flip(2) if mirrored else image)[:, down : down + 8, right : right + 8], inner)
        ]  # fmt: skip
        assert len(found) == 1
        kinds.add(found[0])
    assert {mirrored for mirrored, _, _ in kinds} == {False, True}
    assert len({down for _, down, _ in kinds}) == len({right for _, _, right in kinds}) == 5


def test_the_outside_repeats_the_border() -> None:
    """A ramp from black above to white below stays one: nothing that leaves above comes in below, and no black frame comes in."""
    ramp = torch.linspace(0.5, 1, 8).view(1, 1, 8, 1).expand(20, 3, 8, 8)
    for images in (ramp, ramp.transpose(2, 3)):
        changed = mirror_and_shift(images, torch.Generator().manual_seed(2))
        steps = changed.diff(dim=2 if images is ramp else 3)
        assert ((steps >= 0).flatten(1).all(1) | (steps <= 0).flatten(1).all(1)).all()
        assert float(changed.min()) >= 0.5
