"""An executed notebook -> one HTML page that holds everything and asks the network for nothing: own nbconvert template.

Markdown's raw HTML comes out as text, formulas become pictures, and the HTML that cells put out is sanitised (the
report's own pieces are escaped where they are made). The page's policy forbids scripts and requests all the same.
"""

import base64
import io
import re
from functools import lru_cache
from html import escape
from pathlib import Path

import nbformat
from jinja2 import pass_context
from matplotlib import rc_context
from matplotlib.font_manager import FontProperties
from matplotlib.mathtext import math_to_image
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbconvert.preprocessors import CoalesceStreamsPreprocessor

TEMPLATE = Path(__file__).parent / "template"
STYLES = ("page.css", "report.css")


class Renderer(IPythonRenderer):
    """Markdown to HTML: raw HTML escaped, no harmful links, headings with ids, formulas as pictures."""

    def __init__(self):
        super().__init__(escape=True, allow_harmful_protocols=False)
        self.anchors: dict[str, int] = {}

    def heading(self, text, level, **attrs):
        name = re.sub(r"[^\w]+", "-", re.sub("<[^>]+>|&[^;]+;", "", text).lower()).strip("-") or "section"
        self.anchors[name] = self.anchors.get(name, 0) + 1
        name += f"-{self.anchors[name]}" * (self.anchors[name] > 1)
        return f'<h{level} id="{name}">{text}</h{level}>\n'

    def inline_math(self, body):
        return formula(body)

    def block_math(self, body):
        return f'<p class="math-block">{formula(body, 1.15)}</p>'

    def link(self, text, url, title=None):
        return super().link(text, url, title) if url.startswith(("https:", "http:", "#")) else text

    def image(self, text, url, title=None):
        return super().image(text, url, title) if url.startswith("data:image/") else escape(f"[{text}]")


@lru_cache(maxsize=1000)
def formula(tex: str, size: float = 1.0) -> str:
    """A formula as an inline picture; as its TeX where matplotlib's mathtext does not know it."""
    file = io.BytesIO()
    try:
        with rc_context({"mathtext.fontset": "cm", "svg.hashsalt": "latent-report"}):
            math_to_image(f"${' '.join(tex.split())}$", file, FontProperties(size=12 * size), dpi=72, format="svg")
    except ValueError:
        return f"<code>{escape(tex)}</code>"
    source = base64.b64encode(file.getvalue()).decode()
    return f'<img class="math" src="data:image/svg+xml;base64,{source}" alt="{escape(tex)}">'


class Exporter(HTMLExporter):
    """nbconvert with this package's template, which extends only nbconvert's order of blocks."""

    def __init__(self):
        super().__init__(template_name=TEMPLATE.name, extra_template_basedirs=[str(TEMPLATE.parent)])
        self.register_preprocessor(CoalesceStreamsPreprocessor(), enabled=True)
        self.register_filter("without_styles", without_styles)
        self.renderer = Renderer()

    @pass_context
    def markdown2html(self, context, source):
        return MarkdownWithMath(renderer=self.renderer).render(source)


def without_styles(markup: str) -> str:
    """Styles and scripts taken out with their content; the sanitiser would leave the content as text."""
    return re.sub(r"<(style|script)\b.*?</\1\s*>", "", markup, flags=re.DOTALL | re.IGNORECASE)


def render(notebook: nbformat.NotebookNode, title: str, code: bool = True, home: str = "") -> str:
    """A notebook's page.

    Args:
        title: of the browser's window.
        code: show the code cells; else only what they put out, unsanitised, as for the report.
        home: the address of a link back, or "".
    """
    notebook = nbformat.from_dict(notebook)
    notebook.metadata.pop("widgets", None)  # nbconvert fails where the widgets' state was not kept
    css = "\n".join((TEMPLATE / name).read_text(encoding="utf-8") for name in STYLES)
    page = {"title": title, "css": css, "home": home, "code": "shown" if code else "hidden"}
    markup, _ = Exporter().from_notebook_node(notebook, resources={"page": page})
    return markup.replace("<!--contents-->", contents(markup))


def contents(markup: str) -> str:
    """A page's headings of levels 2 and 3 as nested lists of links."""
    items, inside = [], False
    for level, name, text in re.findall(r'<h([23]) id="([^"]+)">(.*?)</h\1>', markup, flags=re.DOTALL):
        deeper = level == "3"
        if deeper != inside and items:
            items.append("<ul>" if deeper else "</ul>")
            inside = deeper
        link = f'<a href="#{name}">{re.sub("<[^>]+>", "", text).strip()}</a>'
        items.append(f"<li>{link}</li>" if inside else f"</li><li>{link}")
    return f"<ul>{''.join(items).removeprefix('</li>')}{'</ul>' * inside}</li></ul>" if items else ""
