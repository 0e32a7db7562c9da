"""One notebook executed by papermill in a kernel of its own, with what papermill's defaults get wrong put right."""

import json
import os
import shutil
import signal
import sys
import tempfile
import traceback
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import psutil

from lib.errors import UserError
from lib.notebooks import ROOT

KERNEL = "python3"
NEEDED = ("ipykernel.kernelapp", "ipywidgets", "matplotlib.pyplot", "papermill", "scipy.stats", "sklearn.decomposition")
SAVE_SECONDS = 2.0
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


def execute(source: Path, output: Path | None, parameters: dict[str, Any], ahead: "Ahead | None" = None):
    """Executes a notebook in this environment's Python kernel and returns it.

    Args:
        output: where papermill keeps the notebook while it is executed, in place; None for nowhere.
        ahead: the kernel's process; None starts one.

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
            engine_name=_engine(),
            kernel_name=KERNEL,
            cwd=str(source.parent),
            progress_bar=False,
            start_timeout=120,
            iopub_timeout=120,  # 4 s are not enough on a loaded machine
            shutdown_kernel="immediate",  # the graceful way interrupts an idle kernel, which says so on stderr
            config=config,
            **({"kernel_manager_class": _manager(ahead)} if ahead else {}),
        )


def _engine() -> str:
    """Papermill's engine, but that it writes the notebook once in SAVE_SECONDS, not before and after each cell.

    Each time, the notebook is copied, checked and encoded whole: half a second of CPU time a run.
    """
    from papermill import engines

    class Engine(engines.NBClientEngine):
        @classmethod
        def execute_managed_notebook(cls, managed, *args, **options):
            def save(**_):
                if (managed.now() - managed.last_save_time).total_seconds() >= SAVE_SECONDS:
                    type(managed).save(managed)

            managed.save = save
            try:
                return super().execute_managed_notebook(managed, *args, **options)
            finally:
                del managed.save  # papermill writes the whole at the end

    engines.papermill_engines.register(name := "latent-report", Engine)
    return name


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


# ---- a kernel that is forked ---------------------------------------------------------------------


def import_all() -> None:
    """Imports what a run's process and its kernel need, but runs no operation of TensorFlow, which starts threads."""
    os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")  # as kernels do: read at import
    for name in NEEDED:
        import_module(name)
    import_module("lib.backend").keras.config  # noqa: B018  (imports it)


class Ahead(psutil.Process):
    """A kernel's process, forked while this one has no threads; to jupyter_client it is a `subprocess.Popen`."""

    stdin = stdout = stderr = None

    def __init__(self):
        told, self.tell = os.pipe()
        if not (pid := os.fork()):
            os.close(self.tell)
            try:
                _serve(told)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(1)
        os.close(told)
        super().__init__(pid)

    def poll(self) -> int | None:
        with suppress(psutil.TimeoutExpired):
            return self.wait(0)


def _manager(ahead: Ahead) -> type:
    from jupyter_client.manager import AsyncKernelManager

    class Manager(AsyncKernelManager):
        async def _async_launch_kernel(self, kernel_cmd: list[str], **options) -> None:
            if "ipykernel_launcher" not in kernel_cmd:  # another kernel that is called python3
                return await super()._async_launch_kernel(kernel_cmd, **options)
            environment = options["env"] | {"JPY_PARENT_PID": str(os.getpid())}
            with open(ahead.tell, "w") as pipe:
                print(json.dumps([kernel_cmd, os.getcwd(), environment, f"/proc/{os.getpid()}/fd/2"]), file=pipe)
            self.provisioner.process, self.provisioner.pid, self.provisioner.pgid = ahead, ahead.pid, ahead.pid

    return Manager


def _serve(told: int) -> None:
    """Makes a forked process what `python -m ipykernel_launcher` would be."""
    os.setsid()
    with open(told) as pipe:
        words = pipe.readline()
    if not words:  # whoever would tell has ended
        return
    command, folder, environment, errors = json.loads(words)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(os.open(errors, os.O_WRONLY | os.O_APPEND), 2)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))  # locks, and the ways to whoever started this
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None
    for name in [name for name in sys.modules if name.partition(".")[0] == "lib"]:
        del sys.modules[name]  # the notebook imports it, as it is now
    if sys.path[0] == str(ROOT):
        del sys.path[0]  # where this process was started
    sys.argv = command[command.index("ipykernel_launcher") :]
    sys.modules["numpy"].random.seed()  # Python's own is seeded anew in every fork
    sys.modules["ipykernel.kernelapp"].IPKernelApp.launch_instance(sys.argv[1:], parent_handle=os.getppid())
