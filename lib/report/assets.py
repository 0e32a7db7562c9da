"""Heavy images in files beside the page, which are loaded when they come into view."""

import base64
import hashlib
import re
from pathlib import Path


def apart(markup: str) -> tuple[str, dict[str, bytes]]:
    """A page without its heavy images, which are in files of assets/ now; and these files by name."""
    found: dict[str, bytes] = {}

    def moved(image: re.Match) -> str:
        form, content = image.groups()
        name = f"{digest(content.encode())}.{form.removesuffix('+xml')}"
        found[name] = base64.b64decode(content)
        return f'src="assets/{name}"'

    return re.sub(r'\bsrc="data:image/([a-z+]+);base64,([A-Za-z0-9+/=]{4000,})"', moved, markup), found


def digest(content: bytes) -> str:
    """The name of an image's file, from the image in base64."""
    return hashlib.sha256(content).hexdigest()[:20]


def made(folder: Path) -> list[Path]:
    """The images that `apart` put into a folder: their names are digests of what they hold. All else stays."""
    named = [path for path in folder.glob("*") if re.fullmatch(r"[0-9a-f]{20}\.[a-z]+", path.name)]
    images = [path for path in named if path.is_file() and not path.is_symlink()]
    return [path for path in images if digest(base64.b64encode(path.read_bytes())) == path.stem]
