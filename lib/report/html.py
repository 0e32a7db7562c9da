"""An executed notebook -> one HTML page that contains everything and makes no request: our own nbconvert template.

Raw HTML in Markdown becomes visible text, formulas become MathML, and the HTML that cells put out is sanitised (the
report's own pieces are escaped when they are made). The page's policy forbids every request and every script except the
page's own, which it knows by digest.
"""

import base64
import hashlib
import re
from functools import cache, lru_cache
from html import escape
from pathlib import Path
from xml.etree import ElementTree

import latex2mathml.converter
import nbformat
from jinja2 import pass_context
from nbconvert import HTMLExporter
from nbconvert.filters import clean_html
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbconvert.preprocessors import CoalesceStreamsPreprocessor

TEMPLATE = Path(__file__).parent / "template"
# The first two are of any page, the others of the report.
STYLES = ("colours.css", "page.css", "report.css", "opening.css", "overview.css", "decoders.css")
# The first is of any page, the others of the report; each may use what stands before it.
SCRIPTS = (
    "page.js",
    "state.js",
    "study.js",
    "gallery.js",
    "compare.js",
    "scatter.js",
    "table.js",
    "decoder.js",
    "quiz.js",
)
FIRST = (
    'document.documentElement.className = "js";'  # before anything is drawn: what scripts show or hide does not jump
)
IMAGE = re.compile(r'<img(?: class="[\w-]+")? alt="([^"<>]*)" src="(data:image/png;base64,[\w+/=]+)" width="(\d+)">')
MATHML = "{http://www.w3.org/1998/Math/MathML}"
MATH_ATTRIBUTES = {"display", "mathvariant", "stretchy", "fence", "form", "lspace", "rspace", "width", "linethickness"}
MATH_ATTRIBUTES |= {"minsize", "maxsize", "accent", "displaystyle", "columnalign", "rowspacing"}
MATH_ATTRIBUTES |= {"separator", "scriptlevel"}


class Renderer(IPythonRenderer):
    """Markdown to HTML: raw HTML escaped, no harmful links, headings with ids, formulas as MathML."""

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
        return f'<div class="math-block" tabindex="0" role="group" aria-label="Formula">{formula(body, "block")}</div>'

    def link(self, text, url, title=None):
        return super().link(text, url, title) if url.startswith(("https:", "http:", "#")) else text

    def image(self, text, url, title=None):
        return super().image(text, url, title) if url.startswith("data:image/") else escape(f"[{text}]")


@lru_cache(maxsize=1000)
def formula(tex: str, display: str = "inline") -> str:
    """A formula as MathML; as TeX if it is not understood or would become more than a formula."""
    try:
        markup = latex2mathml.converter.convert(
            tex.strip().replace("<", r"\lt ").replace(">", r"\gt "), display=display
        )
        nodes = list(ElementTree.fromstring(markup).iter())  # the converter lets `<` through as it is
    except Exception:  # it has a dozen of its own, and IndexError beside them
        nodes = []
    harmless = all(node.tag.startswith(MATHML) and MATH_ATTRIBUTES.issuperset(node.attrib) for node in nodes)
    return markup if nodes and harmless else f"<code>{escape(tex)}</code>"


@cache
def joined(*names: str) -> str:
    """Files of the template, one after the other."""
    return "\n".join((TEMPLATE / name).read_text(encoding="utf-8") for name in names)


class Exporter(HTMLExporter):
    """nbconvert with this package's template, which extends only nbconvert's order of blocks."""

    def __init__(self):
        super().__init__(template_name=TEMPLATE.name, extra_template_basedirs=[str(TEMPLATE.parent)])
        self.register_preprocessor(CoalesceStreamsPreprocessor(), enabled=True)
        self.register_filter("put_out", put_out)
        self.renderer = Renderer()

    @pass_context
    def markdown2html(self, context, source):
        return MarkdownWithMath(renderer=self.renderer).render(source)


def put_out(markup: str) -> str:
    """The HTML that a cell has put out: an image as `figures.Figure.html` writes it, or else sanitised."""
    markup = without_styles(markup)
    if found := IMAGE.fullmatch(markup.strip()):
        return '<img class="card" alt="{}" src="{}" width="{}">'.format(*found.groups())
    return f'<div class="scroll">{clean_html(markup)}</div>'


def without_styles(markup: str) -> str:
    """Markup without styles and scripts and their content, which the sanitiser would leave as text."""
    return re.sub(r"<(style|script)\b.*?</\1\s*>", "", markup, flags=re.DOTALL | re.IGNORECASE)


def render(
    notebook: nbformat.NotebookNode, title: str, code: bool = True, home: str = "", home_name: str = "Report"
) -> str:
    """A notebook's page.

    Args:
        title: of the browser's window.
        code: show the code cells; otherwise only their output, not sanitised, as in the report.
        home: the address of a link back, or "".
        home_name: the words of that link.
    """
    notebook = nbformat.from_dict(notebook)
    notebook.metadata.pop("widgets", None)  # nbconvert fails where the widgets' state was not kept
    styles, scripts = (
        (STYLES[:2], SCRIPTS[:1]) if code else (STYLES, SCRIPTS)
    )  # a run's page has no pieces of the report
    script = "\n" + joined(*scripts)
    digests = [base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() for one in (FIRST, script)]
    page = {"title": title, "css": joined(*styles), "first": FIRST, "script": script, "digests": digests, "home": home}
    page |= {"home_name": home_name, "code": "shown" if code else "hidden"}
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
