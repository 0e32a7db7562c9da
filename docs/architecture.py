"""Draws architecture.svg, the picture in architecture.md, from the imports in lib/: python docs/architecture.py"""

import ast
from pathlib import Path

HERE = Path(__file__).resolve().parent
LIB = HERE.parent / "lib"
WIDTH, BOX, HIGH, GAP = 960, 128, 34, 58  # pixels: of the picture, and of a room's box and the floors between
COLOURS = {"models": "#0b6e4f", "study": "#1f4e9c", "report": "#8a3b12"}


def room(path: Path) -> str:
    """The folder or the module of lib in which a file lies."""
    return path.relative_to(LIB).parts[0].removesuffix(".py")


def imports() -> dict[str, set[str]]:
    """The rooms of lib, and those that each imports at the top of its files; the command line does in its functions."""
    found: dict[str, set[str]] = {}
    for path in sorted(LIB.rglob("*.py")):
        known = found.setdefault(room(path), set())
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree) if path.name == "__main__.py" else tree.body:
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "lib":
                _, *inside = node.module.split(".")
                known |= {inside[0]} if inside else {name.name for name in node.names}
    del found["__init__"]
    return {name: known - {name} for name, known in found.items()}


def floors(known: dict[str, set[str]]) -> list[list[str]]:
    """The rooms by floors: each lies above all that it imports, and the lowest imports nothing."""
    left, found = dict(known), []
    while left:
        level = sorted(name for name, others in left.items() if not others & left.keys())
        if not level:
            raise SystemExit(f"a circle among {', '.join(sorted(left))}")
        found.append(level)
        left = {name: others for name, others in left.items() if name not in level}
    return found


def reached(known: dict[str, set[str]], name: str) -> set[str]:
    """All rooms that one imports, by itself or through others."""
    return known[name] | {other for each in known[name] for other in reached(known, each)}


def svg() -> str:
    """The picture: an arrow for each import that no other path shows already."""
    known = imports()
    levels = floors(known)[::-1]
    place = {}
    for row, level in enumerate(levels):
        for column, name in enumerate(level):
            place[name] = (WIDTH * (2 * column + 1) / (2 * len(level)), 24 + row * (HIGH + GAP) + HIGH / 2)
    parts = []
    for name, others in known.items():
        shown = others - {far for other in others for far in reached(known, other)}
        for other in sorted(shown):
            (x, y), (to_x, to_y) = place[name], place[other]
            parts.append(f'<path d="M{x:.0f} {y + HIGH / 2:.0f} L{to_x:.0f} {to_y - HIGH / 2 - 3:.0f}"/>')
    for name, (x, y) in place.items():
        left, top, colour = x - BOX / 2, y - HIGH / 2, COLOURS.get(name, "#444")
        parts.append(f'<rect x="{left:.0f}" y="{top:.0f}" width="{BOX}" height="{HIGH}" rx="5" stroke="{colour}"/>')
        parts.append(f'<text x="{x:.0f}" y="{y + 5:.0f}" fill="{colour}">{name}</text>')
    height = 48 + len(levels) * (HIGH + GAP) - GAP
    style = (
        "path{stroke:#999;fill:none;marker-end:url(#tip)}rect{fill:#fff;stroke-width:1.5}"
        "text{font:15px sans-serif;text-anchor:middle}"
    )
    tip = '<marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    tip += '<path d="M0 0 L8 4 L0 8 z" style="fill:#999;stroke:none;marker-end:none"/></marker>'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">'
    title = "<title>The rooms of lib: each imports those below it to which an arrow leads</title>"
    ground = f'<rect width="{WIDTH}" height="{height}" stroke="none"/>'
    return "\n".join([head, title, f"<style>{style}</style><defs>{tip}</defs>", ground, *parts, "</svg>\n"])


if __name__ == "__main__":
    (HERE / "architecture.svg").write_text(svg(), encoding="utf-8")
