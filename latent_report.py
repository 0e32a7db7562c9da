"""Makes `lib` this project's, also where another package of that name comes first on the path: import this before it.

Notebooks and the command line start here, since a folder called lib is common: a user's project may have one, and
Python would take that of the current folder or of PYTHONPATH. Also `python -m latent_report`, as the command.
"""

import importlib.util
import sys
from pathlib import Path

_LIB = Path(__file__).resolve().parent / "lib"


def _import_ours() -> None:
    """Puts our `lib` where every later import looks first.

    Raises:
        ImportError: another one has been imported already.
    """
    if "lib" in sys.modules:
        found = getattr(sys.modules["lib"], "__path__", ["?"])[0]
        if Path(found).resolve() != _LIB:
            raise ImportError(f"another lib was imported already, {found}: import latent_report before it")
        return
    spec = importlib.util.spec_from_file_location("lib", _LIB / "__init__.py", submodule_search_locations=[str(_LIB)])
    sys.modules["lib"] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)


_import_ours()


def main() -> int:
    """The command line."""
    from lib.__main__ import main

    return main()


if __name__ == "__main__":
    sys.exit(main())
