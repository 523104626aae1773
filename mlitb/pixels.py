"""Bytes of a picture file -> uint8 pixels, by Pillow: the one place that says how a picture becomes an input.

Rules of this file:
- A leaf: it imports nothing of ours, and the data server, the native worker and `mlitb predict` all use it.
- The steps and their order are the definition: first frame, white behind transparency, grey or RGB, crop box and
  bilinear (area-weighted) resize in one step, then the EXIF turn. tests/test_pixels.py holds a golden file of it.
- The bytes are hostile: formats are named, pixels are counted before they are decoded, every refusal is a BadImage.
"""

import io
import warnings
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

Mode = Literal["crop", "fit", "stretch"]
Pixels = NDArray[np.uint8]
Box = tuple[float, float, float, float]

MODES: tuple[Mode, ...] = get_args(Mode)
FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP")
MAX_PIXELS = 64_000_000  # a 64-megapixel photo; decoded it takes 256 MB, four bytes a pixel
MAX_SIDE = 512  # of a cut: one incompressible RGB picture of 512 x 512 still fits a shard's megabyte
PNG_LEVEL = 6  # zlib's own default: level 9 takes three times as long for 1 % less

# What turns a stored picture upright, by the EXIF orientation; those from 5 on also swap its sides.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# Pillow only warns between its limit and twice that; its documentation says to make the warning an error.
warnings.simplefilter("error", Image.DecompressionBombWarning)


class BadImage(ValueError):
    """A picture that is refused: `reason` is one of a few, str() adds what is particular to this one."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason} ({detail})" if detail else reason)
        self.reason = reason


def decode(data: bytes, width: int, height: int, channels: int, mode: Mode = "crop") -> Pixels:
    """Decode a picture file to the pixels that a network of this input size sees.

    Returns uint8 [height][width][channels], channels 1 (grey) or 3 (RGB). `crop` scales to cover and keeps the
    centre, `fit` scales to lie within and pads with black, `stretch` ignores the proportions. Raises BadImage.
    """
    check_shape(width, height, channels, mode)
    with _opened(data) as image:
        try:
            turn = image.getexif().get(ExifTags.Base.Orientation, 1)
            flat = _flattened(image, "L" if channels == 1 else "RGB")
        except Exception as error:  # on hostile bytes Pillow's decoders raise whatever they like
            raise BadImage("cut short or damaged", _sentence(error)) from error
    if turn in _TURNS and turn >= 5:
        width, height = height, width
    small = _resized(flat, width, height, mode)
    if turn in _TURNS:
        small = small.transpose(_TURNS[turn])
    return np.asarray(small, dtype=np.uint8).reshape(small.height, small.width, channels)


def encode_png(pixels: Pixels) -> bytes:
    """Encode uint8 [height][width][1 or 3] as a plain 8-bit PNG: no alpha, no colour chunks, not interlaced."""
    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    out = io.BytesIO()
    image.save(out, format="PNG", compress_level=PNG_LEVEL)
    return out.getvalue()


def check_shape(width: int, height: int, channels: int, mode: str) -> None:
    """Raise ValueError, with a sentence, unless a cut may have this size, channel count and resize mode."""
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
        raise ValueError(f"a picture of {width} x {height} pixels: width and height must be 1 to {MAX_SIDE}")
    if channels not in (1, 3):
        raise ValueError(f"{channels} channels: must be 1 (grey) or 3 (colour)")
    if mode not in MODES:
        raise ValueError(f"the resize mode {mode!r}: must be one of {', '.join(MODES)}")


def _opened(data: bytes) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise BadImage(f"more than {MAX_PIXELS:,} pixels") from error
    except Exception as error:  # as above: not only UnidentifiedImageError comes out of here
        raise BadImage("not a picture that can be read (JPEG, PNG, GIF, WebP or BMP)") from error
    if image.width * image.height > MAX_PIXELS:
        raise BadImage(f"more than {MAX_PIXELS:,} pixels", f"{image.width} x {image.height}")
    return image


def _flattened(image: Image.Image, mode: str) -> Image.Image:
    """Decode the first frame to L or RGB, with white behind what is transparent."""
    image.load()
    if image.mode.startswith("I"):
        return _from_16_bit(image).convert(mode)
    if image.mode in ("LA", "PA", "La", "RGBA", "RGBa") or "transparency" in image.info:
        colour = image.convert("RGBA")
        white = Image.new("RGB", colour.size, (255, 255, 255))
        white.paste(colour, mask=colour.getchannel("A"))
        return white.convert(mode)
    if image.mode == "P":
        image = image.convert("RGB")
    return image.convert(mode)


def _from_16_bit(image: Image.Image) -> Image.Image:
    # Pillow's own conversion clips 16-bit grey at 255; the upper byte is what it takes for 16-bit colour.
    values = np.asarray(image).astype(np.int64)
    return Image.fromarray(np.clip(values >> 8, 0, 255).astype(np.uint8))


def _resized(image: Image.Image, width: int, height: int, mode: Mode) -> Image.Image:
    if mode != "fit":
        box = _cover(image.width, image.height, width, height) if mode == "crop" else None
        return image.resize((width, height), Image.Resampling.BILINEAR, box=box)
    scale = min(width / image.width, height / image.height)
    inner = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    canvas = Image.new(image.mode, (width, height))
    small = image.resize(inner, Image.Resampling.BILINEAR)
    canvas.paste(small, ((width - inner[0]) // 2, (height - inner[1]) // 2))
    return canvas


def _cover(width: int, height: int, to_width: int, to_height: int) -> Box:
    """Return the largest centred box of the target's proportions."""
    scale = min(width / to_width, height / to_height)
    left, top = (width - to_width * scale) / 2, (height - to_height * scale) / 2
    return (max(0.0, left), max(0.0, top), min(float(width), width - left), min(float(height), height - top))


def _sentence(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:200]
