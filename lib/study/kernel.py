"""One notebook executed by papermill in a kernel of its own, with what papermill's defaults get wrong put right."""

import os
import shutil
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lib.settings import UserError

KERNEL = "python3"


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

    config = Config()  # and no JPY_SESSION_NAME, by which a kernel that JupyterLab started knows that it is watched
    with _scratch() as folder, _sockets(folder) as sockets, _environment("JPY_SESSION_NAME", None):
        if sockets:  # TCP ports are chosen before the kernel takes them: kernels that start together clash
            config.KernelManager.transport, config.KernelManager.ip = "ipc", f"{sockets}/k"
        return papermill.execute_notebook(
            nbformat.read(source, as_version=4),
            output and str(output).replace("{", "{{").replace("}", "}}"),  # papermill passes paths through str.format
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
def _scratch():
    """Yields a folder for the kernel's temporary files, and removes it.

    TensorFlow writes some of the latter for each function that it compiles, and a kernel that is ended at once, as ours
    are, leaves them.
    """
    with tempfile.TemporaryDirectory(prefix="lr-") as folder, _environment("TMPDIR", folder):
        yield folder


@contextmanager
def _environment(name: str, value: str | None):
    """Sets a variable, which the kernel inherits, or takes it away, and then restores what it was."""
    before = os.environ.pop(name, None)
    if value is not None:
        os.environ[name] = value
    try:
        yield
    finally:
        os.environ.pop(name, None)
        if before is not None:
            os.environ[name] = before


@contextmanager
def _sockets(scratch: str):
    """Yields a folder whose path is short enough for a kernel's sockets, or "" where there is none.

    Clusters give each job a temporary folder with a long name: then another place serves.
    """
    if os.name != "posix":
        yield ""
        return
    if _fits(f"{scratch}/k-5"):
        yield scratch
        return
    for place in filter(None, (os.environ.get("XDG_RUNTIME_DIR"), "/tmp", "/dev/shm")):
        if _fits(f"{place}/lr-12345678/k-5") and os.access(place, os.W_OK):
            with tempfile.TemporaryDirectory(prefix="lr-", dir=place) as folder:
                yield folder
            return
    yield ""


def _fits(socket: str) -> bool:
    """Whether a socket's path has no more than the 103 bytes that all systems allow."""
    return len(os.fsencode(socket)) <= 103
