"""One notebook executed by papermill in a kernel of its own, with what papermill's defaults get wrong put right."""

import os
import tempfile
from pathlib import Path
from typing import Any


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
    with tempfile.TemporaryDirectory(prefix="lr-") as sockets:  # short: a socket's path has at most 107 bytes
        if os.name == "posix":  # TCP ports are chosen before the kernel takes them: kernels that start together clash
            config.KernelManager.transport, config.KernelManager.ip = "ipc", f"{sockets}/k"
        return papermill.execute_notebook(
            nbformat.read(source, as_version=4),
            output and str(output).replace("{", "{{").replace("}", "}}"),  # papermill passes paths through str.format
            parameters,
            kernel_name="python3",
            cwd=str(source.parent),
            progress_bar=False,
            start_timeout=120,
            iopub_timeout=120,  # 4 s are not enough on a loaded machine
            shutdown_kernel="immediate",  # the graceful way interrupts an idle kernel, which says so on stderr
            config=config,
        )
