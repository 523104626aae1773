"""Pixels: every kind of picture, the resize against its golden file, and what is refused."""

import io
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from mlitb import pixels
from mlitb.pixels import BadImage, decode, encode_png

Values = NDArray[np.float64]

GOLDEN = Path(__file__).parent / "golden" / "resize.npz"


def file_of(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    """Return an image as a file's bytes."""
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def scene() -> Image.Image:
    """Draw a picture with edges, gradients and colours, from integers only."""
    y, x = np.mgrid[0:45, 0:60]
    red, green, blue = x * 4, y * 5, ((x // 6 + y // 9) % 2) * 255
    return Image.fromarray(np.stack([red, green, blue], axis=2).astype(np.uint8))


CASES = [
    (width, height, channels, mode)
    for width, height in ((28, 28), (16, 40), (90, 20), (61, 46))
    for channels in (1, 3)
    for mode in pixels.MODES
]


def test_the_resize_is_what_it_was() -> None:
    """The golden file was made with `decode`; whoever reimplements it (JavaScript) is held to within 1/255."""
    data = file_of(scene())
    with np.load(GOLDEN) as golden:
        for width, height, channels, mode in CASES:
            want = golden[f"{width}x{height}x{channels} {mode}"].astype(int)
            got = decode(data, width, height, channels, mode).astype(int)
            assert got.shape == (height, width, channels)
            assert np.abs(got - want).max() <= 1, (width, height, channels, mode)


@pytest.mark.parametrize(("width", "height", "channels", "mode"), CASES)
def test_the_resize_is_an_area_weighted_triangle(width: int, height: int, channels: int, mode: pixels.Mode) -> None:
    """Against a slow resize in numpy, written from the definition."""
    image = scene().convert("L" if channels == 1 else "RGB")
    source = np.asarray(image, dtype=float).reshape(45, 60, channels)
    want = slow_resize(source, width, height, mode)
    got = decode(file_of(scene()), width, height, channels, mode)
    assert np.abs(got - np.rint(want)).max() <= 1, "a half rounds to another side"


def slow_resize(source: Values, width: int, height: int, mode: pixels.Mode) -> Values:
    """Resize float [y][x][channel] by weights of a triangle as wide as the scale, one axis after the other."""
    high, wide = source.shape[:2]
    if mode == "fit":
        scale = min(width / wide, height / high)
        inner = max(1, round(wide * scale)), max(1, round(high * scale))
        out = np.zeros((height, width, source.shape[2]))
        top, left = (height - inner[1]) // 2, (width - inner[0]) // 2
        out[top : top + inner[1], left : left + inner[0]] = slow_resize(source, *inner, "stretch")
        return out
    scale = min(wide / width, high / height)
    box_wide, box_high = (width * scale, height * scale) if mode == "crop" else (wide, high)
    across = triangle(wide, (wide - box_wide) / 2, box_wide, width)
    down = triangle(high, (high - box_high) / 2, box_high, height)
    half = np.rint(np.einsum("ox,yxc->yoc", across, source))
    return np.asarray(np.einsum("py,yoc->poc", down, half))


def triangle(n_in: int, start: float, length: float, n_out: int) -> Values:
    """Return the weights [out][in] with which pixels of a box become others."""
    scale = length / n_out
    support = max(scale, 1.0)
    centres = start + (np.arange(n_out)[:, None] + 0.5) * scale
    first = np.maximum(0, (centres - support + 0.5).astype(int))
    last = np.minimum(n_in, (centres + support + 0.5).astype(int))
    at = np.arange(n_in)[None, :]
    weights = np.maximum(0.0, 1 - np.abs(at + 0.5 - centres) / support) * (at >= first) * (at < last)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def test_a_picture_of_the_right_size_keeps_its_pixels() -> None:
    values = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    for mode in pixels.MODES:
        assert (decode(encode_png(values), 7, 9, 3, mode) == values).all()


def test_crop_keeps_the_centre_and_fit_pads_with_black() -> None:
    values = np.zeros((4, 12, 1), np.uint8)
    values[:, 4:8] = 200
    assert (decode(encode_png(values), 4, 4, 1, "crop") == 200).all()
    white = np.full((4, 8, 1), 255, np.uint8)
    fitted = decode(encode_png(white), 8, 8, 1, "fit")[:, :, 0]
    assert fitted[:, 0].tolist() == [0, 0, 255, 255, 255, 255, 0, 0]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_photo_is_turned_back(orientation: int) -> None:
    upright = scene().resize((8, 6))
    back = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # Pillow's transposition that undoes each
    stored = upright if orientation == 1 else upright.transpose(Image.Transpose(back[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = decode(file_of(stored, exif=exif), 8, 6, 3, "stretch")
    assert (found == np.asarray(upright)).all()


def test_alpha_is_laid_on_white() -> None:
    image = Image.new("RGBA", (2, 1))
    image.putdata([(10, 20, 30, 255), (10, 20, 30, 0)])
    assert decode(file_of(image), 2, 1, 3).tolist() == [[[10, 20, 30], [255, 255, 255]]]
    grey = Image.new("LA", (2, 1), (50, 0))
    assert decode(file_of(grey), 2, 1, 1).tolist() == [[[255], [255]]]


def test_palettes_become_colours() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putdata([0, 1])
    assert decode(file_of(image), 2, 1, 3).tolist() == [[[255, 0, 0], [0, 0, 255]]]
    assert decode(file_of(image, transparency=0), 2, 1, 3).tolist() == [[[255, 255, 255], [0, 0, 255]]]
    assert decode(file_of(image, "GIF"), 2, 1, 3).tolist() == [[[255, 0, 0], [0, 0, 255]]]


def test_the_first_frame_of_an_animation_counts() -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    for form in ("GIF", "WEBP"):
        data = file_of(
            frames[0], form, save_all=True, append_images=frames[1:], **({"lossless": True} if form == "WEBP" else {})
        )
        assert decode(data, 4, 4, 3)[0, 0].tolist() == [255, 0, 0]


def test_sixteen_bits_keep_the_upper_eight() -> None:
    values = np.array([[0, 255, 256, 0x1234, 0xFFFF]], dtype=np.uint16)
    data = file_of(Image.fromarray(values))
    assert decode(data, 5, 1, 1)[0, :, 0].tolist() == [0, 0, 1, 0x12, 255]
    assert decode(data, 5, 1, 3)[0, 3].tolist() == [0x12] * 3


def test_one_bit_is_black_and_white() -> None:
    image = Image.new("1", (2, 1))
    image.putdata([0, 1])
    assert decode(file_of(image), 2, 1, 1)[0, :, 0].tolist() == [0, 255]


def test_cmyk_becomes_rgb() -> None:
    found = decode(file_of(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", quality=95), 8, 8, 3)[4, 4]
    assert found[0] > 200
    assert max(found[1:]) < 60


@pytest.mark.parametrize(("form", "tolerance"), [("JPEG", 12), ("WEBP", 30), ("BMP", 0), ("PNG", 0), ("GIF", 40)])
def test_every_format_is_read(form: str, tolerance: int) -> None:
    smooth = Image.fromarray(np.tile(np.arange(0, 240, 15, dtype=np.uint8), (16, 1)))
    found = decode(file_of(smooth, form), 16, 16, 1).astype(int)[:, :, 0]
    assert np.abs(found - np.asarray(smooth)).max() <= tolerance


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not a picture"),
        (b"<svg/>", "not a picture"),
        (b"%PDF-1.4", "not a picture"),
        (file_of(Image.new("L", (8, 8)), "TIFF"), "not a picture"),
        (file_of(scene())[:100], "cut short or damaged"),
        (file_of(scene(), "JPEG")[:700], "cut short or damaged"),
    ],
)
def test_what_is_no_picture_is_refused_with_a_reason(data: bytes, reason: str) -> None:
    with pytest.raises(BadImage, match=reason):
        decode(data, 8, 8, 3)


@settings(max_examples=150, deadline=None)
@given(
    form=st.sampled_from(["PNG", "JPEG", "GIF", "WEBP", "BMP"]),
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=4)), max_size=4),
    keep=st.floats(0, 1),
)
def test_damaged_files_are_decoded_or_refused_and_nothing_else(
    form: str, changes: list[tuple[float, bytes]], keep: float
) -> None:
    data = bytearray(file_of(scene(), form))
    for at, value in changes:
        start = int(at * len(data))
        data[start : start + len(value)] = value
    with suppress(BadImage):
        assert decode(bytes(data[: int(keep * len(data))]), 8, 8, 3).shape == (8, 8, 3)


@pytest.mark.parametrize("shape", [(0, 8, 1, "crop"), (8, 513, 1, "crop"), (8, 8, 2, "crop"), (8, 8, 1, "melt")])
def test_a_shape_that_cannot_be_is_our_callers_mistake(shape: tuple[int, int, int, str]) -> None:
    with pytest.raises(ValueError, match="must be"):
        decode(encode_png(np.zeros((8, 8, 1), np.uint8)), *shape)  # type: ignore[arg-type]


def test_pngs_are_plain() -> None:
    for channels, colour_type in ((1, 0), (3, 2)):
        png = encode_png(np.zeros((5, 4, channels), np.uint8))
        assert png[16:29] == bytes([0, 0, 0, 4, 0, 0, 0, 5, 8, colour_type, 0, 0, 0])
        assert [png[37 - 0 : 41]] == [b"IDAT"], "nothing between header and pixels"
