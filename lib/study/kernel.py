"""One notebook executed by papermill in a kernel of its own, with what papermill's defaults get wrong put right."""

import os
import shutil
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lib.errors import UserError

KERNEL = "python3"
LONGEST = 103  # bytes of a socket's path that all systems allow


def check() -> None:
    """Finds a kernel that is missing, or of another environment, before anything is started.

    Raises:
        UserError: says which kernel is meant, where it was found, and what puts it right.
    """
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    again = f"{sys.executable} -m ipykernel install --sys-prefix"
    try:
        spec = KernelSpecManager().get_kernel_spec(KERNEL)
    except NoSuchKernel:
        raise UserError(f"no kernel {KERNEL}: {again}") from None
    ours = ("python", "python3", f"python3.{sys.version_info.minor}")  # jupyter_client puts sys.executable there
    python = sys.executable if spec.argv[0] in ours else shutil.which(spec.argv[0]) or spec.argv[0]
    if os.path.realpath(os.path.dirname(python)) != os.path.realpath(os.path.dirname(sys.executable)):
        where = f"kernel {KERNEL} of {spec.resource_dir} starts {python}, not this environment's {sys.executable}"
        raise UserError(f"{where}: remove that folder, or {again}")


def execute(source: Path, output: Path | None, parameters: dict[str, Any]):
    """Executes a notebook in this environment's Python kernel and returns it.

    Args:
        output: where papermill keeps the notebook while it is executed, in place; None for nowhere.

    Raises:
        papermill.PapermillExecutionError: a cell raised.
    """
    import nbformat
    import papermill
    from traitlets.config import Config

    config = Config()
    # TensorFlow writes temporary files for each function that it compiles, and a kernel that is ended at once, as ours
    # are, leaves them. By JPY_SESSION_NAME a kernel that JupyterLab started knows that somebody watches it.
    with (
        tempfile.TemporaryDirectory(prefix="lr-") as scratch,
        _environment(TMPDIR=scratch, JPY_SESSION_NAME=None),
        _sockets(scratch) as sockets,
    ):
        if sockets:  # TCP ports are chosen before the kernel takes them: kernels that start together clash
            config.KernelManager.transport, config.KernelManager.ip = "ipc", f"{sockets}/k"
        return papermill.execute_notebook(
            nbformat.read(source, as_version=4),
            output and str(output).replace("{", "{{").replace("}", "}}"),  # papermill passes it through str.format
            parameters,
            kernel_name=KERNEL,
            cwd=str(source.parent),
            progress_bar=False,
            start_timeout=120,
            iopub_timeout=120,  # 4 s are not enough on a loaded machine
            shutdown_kernel="immediate",  # the graceful way interrupts an idle kernel, which says so on stderr
            config=config,
        )


@contextmanager
def _environment(**changed: str | None):
    """Sets variables, which the kernel inherits, or takes them away, and then restores what they were."""
    before = {name: os.environ.pop(name, None) for name in changed}
    os.environ.update({name: value for name, value in changed.items() if value is not None})
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


@contextmanager
def _sockets(scratch: str):
    """Yields a folder whose path is short enough for a kernel's sockets, or "" where there is none.

    Clusters give each job a temporary folder with a long name: then another place serves.
    """
    places = [place for place in (os.environ.get("XDG_RUNTIME_DIR"), "/tmp", "/dev/shm") if place]
    fitting = [place for place in places if _fits(f"{place}/lr-12345678") and os.access(place, os.W_OK)]
    if os.name != "posix" or _fits(scratch) or not fitting:
        yield scratch if os.name == "posix" and _fits(scratch) else ""
        return
    with tempfile.TemporaryDirectory(prefix="lr-", dir=fitting[0]) as folder:
        yield folder


def _fits(folder: str) -> bool:
    return len(os.fsencode(f"{folder}/k-5")) <= LONGEST
