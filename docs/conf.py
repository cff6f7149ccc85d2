"""How the documentation is built: `nox -s docs`."""  # noqa: INP001 - no package

import sys
from importlib.metadata import version as installed
from pathlib import Path

from sphinx.application import Sphinx

from infobip_async.simulator import Fault

sys.path.insert(0, str(Path(__file__).parent))

project = "infobip_async"
author = "infobip-async contributors"
copyright = "infobip-async contributors"  # noqa: A001 - Sphinx's name
release = version = installed("infobip-async")

extensions = [
    "myst_parser",  # pages in Markdown, readable without the site
    "sphinx.ext.autodoc",  # the reference comes from docstrings
    "sphinx.ext.napoleon",  # which have sections: Args, Attributes, Raises
    "sphinx.ext.autosectionlabel",
    "sphinx_click",  # the command line, from its own help
]
myst_enable_extensions = ["colon_fence", "deflist", "attrs_inline"]
myst_heading_anchors = 3
autosectionlabel_prefix_document = True
suppress_warnings = ["autosectionlabel.*"]

autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True

default_role = "code"  # docstrings write `names` with one backtick
nitpicky = False

html_theme = "furo"
html_title = "infobip_async"
html_static_path: list[str] = []
html_show_sourcelink = False
html_copy_source = False
exclude_patterns = ["_build"]


_COLON, _STAND_IN = ": ", "\ue000"


def setup(app: Sphinx) -> None:
    """Mend what napoleon would misread, and add what autodoc cannot see."""
    app.connect("autodoc-process-docstring", _hide_colon, priority=400)  # napoleon has 500
    app.connect("autodoc-process-docstring", _show_colon, priority=600)
    app.connect("autodoc-process-docstring", _describe_faults)


def _hide_colon(_: Sphinx, what: str, __: str, ___: object, ____: object, lines: list[str]) -> None:
    """Napoleon takes what stands before the first colon for the type of an attribute."""
    if what in {"attribute", "data", "property"}:
        lines[:1] = [line.replace(_COLON, _STAND_IN) for line in lines[:1]]


def _show_colon(
    _: Sphinx, __: str, ___: str, ____: object, _____: object, lines: list[str]
) -> None:
    lines[:] = [line.replace(_STAND_IN, _COLON) for line in lines]


def _describe_faults(
    _: Sphinx, __: str, ___: str, described: object, ____: object, lines: list[str]
) -> None:
    """List the members of `Fault`, which describe themselves and have no docstrings below them."""
    if described is Fault:
        lines += [f"- ``{fault.name}``: {fault.description}" for fault in Fault]
