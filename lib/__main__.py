"""The command line: run studies, report them, look at their state, get data."""

import argparse
import json
import os
import shlex
import signal
import sys
from pathlib import Path

EPILOG = """STUDY is the stem of a file in parameters/ (demo, quick, homework, ...) or the path of a .yaml file. For
report and status it may also be "notebooks", the runs made in notebooks, or a folder that has runs in runs/.
Exit status: 0: success; 1: a run failed, or the report could not be built; 2: bad input, nothing was started;
130: stopped by Ctrl-C; 143: stopped by SIGTERM."""


def main(arguments: list[str] | None = None) -> int:
    """Runs one command and returns its exit status; a user's mistake is one line on stderr and status 2."""
    from lib.settings import UserError

    options = _parser().parse_args(arguments)
    if home := os.environ.get("LATENT_REPORT_DATA"):  # kernels work in another folder
        os.environ["LATENT_REPORT_DATA"] = os.path.abspath(os.path.expanduser(home))
    signal.signal(signal.SIGTERM, _terminated)
    try:
        return options.command(options)
    except UserError as error:
        print(f"latent-report: {error}", file=sys.stderr)
        return getattr(error, "status", 2)
    except KeyboardInterrupt as interrupt:
        print("latent-report: stopped; finished runs are kept, run the command again to continue", file=sys.stderr)
        return 143 if interrupt.args else 130
    except BrokenPipeError:  # as in `latent-report status demo | head`
        sys.stderr.close()
        return 1


def _terminated(number, frame):
    raise KeyboardInterrupt(number)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="latent-report",
        description="See and measure what latent dimension and model complexity do to a VAE, a GAN and a WGAN.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = _command(commands, "run", _run, "run what is missing or stale, then build the report")
    _engine(run)
    run.add_argument("--dry-run", action="store_true", help="only show what would run, why and for how long")
    run.add_argument("--force", action="store_true", help="run everything from the start, including what is done")
    run.add_argument("--fail-fast", action="store_true", help="stop at the first run that fails")
    run.add_argument("--no-report", action="store_true", help="do not build the report")
    run.add_argument("--strict", action="store_true", help="exit 1 when the report has gaps")

    _assets(run)

    evaluate = _command(commands, "evaluate", _evaluate, "recompute the numbers of finished runs, without training")
    _engine(evaluate)
    evaluate.add_argument("--no-report", action="store_true", help="do not rebuild the report")
    evaluate.set_defaults(fail_fast=False, strict=False, force=False)
    _assets(evaluate)

    report = _command(commands, "report", _report, "rebuild only the HTML")
    report.add_argument("--strict", action="store_true", help="exit 1 when the report has gaps")
    _assets(report)
    status = _command(commands, "status", _status, "show a table of the runs and their states")
    status.add_argument("--json", action="store_true", help="print JSON, for use by programs")
    export = _command(commands, "export", _export, "write one YAML file per run, and a run.sh of papermill commands")
    export.add_argument("folder", type=Path, metavar="DIR", help="the folder for these files")

    datasets = commands.add_parser("data", help=(words := "list, fetch or verify datasets"), description=words)
    datasets.add_argument("action", choices=["list", "fetch", "verify"], help="what to do")
    datasets.add_argument("name", nargs="?", metavar="NAME|PATH", help="a dataset's name, or the path of an .npz file")
    datasets.set_defaults(command=_data)
    return parser


def _assets(command) -> None:
    command.add_argument(
        "--assets",
        action="store_true",
        help="put the report's images into separate files, which are loaded as they come into view",
    )


def _command(commands, name: str, function, help_text: str) -> argparse.ArgumentParser:
    """A command on a study, with the options that all of these share."""
    command = commands.add_parser(name, help=help_text, description=help_text)
    command.add_argument("study", metavar="STUDY", help="see `latent-report --help`")
    command.add_argument("--out", metavar="DIR", help="the study's folder (default: reports/STUDY)")
    command.add_argument(
        "-p",
        dest="parameters",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "VALUE"),
        help="a setting for every run that has it; may be repeated",
    )
    command.set_defaults(command=function)
    return command


def _engine(command: argparse.ArgumentParser) -> None:
    """The options of the commands that execute runs."""
    add = command.add_argument
    add(
        "--workers",
        type=_positive,
        metavar="N",
        help="how many runs are made at a time (default: one per core, if memory allows)",
    )
    add("--scheduler", metavar="ADDRESS", help="use the Dask cluster at tcp://HOST:PORT instead of this machine")
    add(
        "--time-limit",
        type=_duration,
        default=24 * 3600.0,
        metavar="TIME",
        help="limit for each run, such as 90s, 30m or 12h (default: 24h); a run that exceeds it keeps its checkpoint",
    )
    add(
        "--memory-limit",
        type=_gib,
        metavar="GIB",
        help="limit for the processes of each run, 0 for none (default: nine tenths of the machine's memory divided by "
        "the number of workers, but at least 3)",
    )
    add(
        "--retries",
        type=_count,
        default=2,
        metavar="N",
        help="how often a run is tried again if its worker process dies (default: 2)",
    )


def _duration(text: str) -> float:
    number, unit = (text[:-1], text[-1]) if text[-1:] in ("s", "m", "h") else (text, "")
    try:
        seconds = float(number) * {"s": 1, "m": 60, "h": 3600}[unit]
    except (ValueError, KeyError):
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a time such as 90s, 30m or 12h, found {text!r}")
    return seconds


def _gib(text: str) -> int:
    try:
        size = float(text)
    except ValueError:
        size = -1.0
    if not 0 <= size < 1e6:
        raise argparse.ArgumentTypeError(f"expected a number of GiB, 0 for no limit, found {text!r}")
    return int(size * 2**30)


def _count(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"expected a whole number from 0, found {text!r}")
    return int(text)


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1, found {text!r}")
    return int(text)


def _study(options, check_data: bool = True):
    """The checked study; runs in its folder that cannot be shown are named."""
    from lib.study import plan

    overrides = {name: plan.parsed(text, f"-p {name}") for name, text in options.parameters}
    study = plan.read(options.study, overrides, options.out, check_data=check_data)
    if study.skipped:
        print(f"latent-report: left out in {study.folder / 'runs'}: {'; '.join(study.skipped)}", file=sys.stderr)
    return study


def _fetch(study) -> None:
    """Downloads the study's datasets that are not there yet."""
    from lib import data

    for dataset in dict.fromkeys(run.settings.dataset for run in study.runs):
        if dataset in data.SOURCES:
            data.fetch(dataset)


def _check_folders(study) -> None:
    """Makes sure, before anything is started, that nothing of a user's is in the way of the study's files."""
    from lib import ownership

    ownership.check_study_folder(study.folder, [*(f"{run.name}.html" for run in study.runs), "estimators.html"])
    for run in study.runs:
        ownership.check_run_folder(run.folder, "the run's folder")


def _run(options) -> int:
    from contextlib import nullcontext

    from lib import runs
    from lib.settings import UserError
    from lib.study import batch

    study = _study(options)
    if study.as_found:
        raise UserError(
            f"{options.study}: nothing to run: this folder has finished runs, but no study file; "
            "`latent-report report` shows them"
        )
    if not options.dry_run:
        _fetch(study)
    _check_folders(study)
    with nullcontext() if options.dry_run else batch.locked(study):
        states = batch.states(study)
        todo = [run for run in study.runs if options.force or states[run.name][0] != "done"]
        trained = {name for name, (state, _) in states.items() if state == "unscored" and not options.force}
        head = f"{study.title}: {len(study.runs)} runs, {len(study.runs) - len(todo)} done, {len(todo)} to do"
        if not options.dry_run:
            return _execute(study, todo, trained, options, head)
        workers, threads = batch.workers_and_threads(len(todo), options.workers)
        costs = batch.costs(todo, threads, trained)
        print(head + (_plan(costs, workers, threads) if todo else ""))
        for run in todo:
            state, why = states[run.name]
            seconds = runs.duration(costs[run.name].total)
            print(f"  {run.name}  {state}{': ' + why if why else ''}  (about {seconds})")
        return 0


def _evaluate(options) -> int:
    from lib.settings import UserError
    from lib.study import batch

    study = _study(options)
    _check_folders(study)
    with batch.locked(study):
        states = batch.states(study)
        todo = [run for run in study.runs if states[run.name][0] in ("done", "unscored")]
        if not todo:
            raise UserError(f"{study.folder}: no finished run; `latent-report run` makes them")
        head = f"{study.title}: the numbers of {len(todo)} of {len(study.runs)} runs"
        return _execute(study, todo, {run.name for run in todo}, options, head)


def _plan(costs, workers: int, threads: int) -> str:
    from lib import runs

    seconds = max(sum(cost.total for cost in costs.values()) / workers, *(cost.total for cost in costs.values()), 0.0)
    size = f"{workers} worker{'s' * (workers > 1)} of {threads} thread{'s' * (threads > 1)}"
    return f" with {size}{' each' * (workers > 1)}, about {runs.duration(seconds)}"


def _execute(study, todo, trained, options, head: str) -> int:
    """Checks what runs need, then executes them, here or on a cluster, and builds the report.

    Args:
        head: what is said first, once the checks have passed.
    """
    if not todo:
        print(head, flush=True)
        return 0 if options.no_report else _build(study, options, only_new=True)
    from contextlib import ExitStack

    from lib import data, runs
    from lib.study import batch, cluster, kernel, worker

    kernel.check()
    runs.scores_folder()  # a folder that cannot be written to is found now, not by every run
    for dataset in {run.settings.dataset for run in todo}:
        if dataset in data.SOURCES or dataset not in data.BUILT_IN:
            data.verify(dataset)  # so is a damaged file
    lease = worker.Lease(study.folder)
    limits = batch.Limits(options.time_limit, options.memory_limit, options.retries)
    with ExitStack() as stack:
        stack.callback(lease.release)
        if options.scheduler:
            found = stack.enter_context(cluster.connected(options.scheduler, study, lease))
            executor, workers, threads, final = found
        else:
            workers, threads = batch.workers_and_threads(len(todo), options.workers)
            executor, final = stack.enter_context(batch.local(workers)), ()
        print(head + _plan(batch.costs(todo, threads, trained), workers, threads), flush=True)
        failed = batch.run_all(
            todo,
            lease,
            executor,
            workers,
            threads,
            limits,
            fail_fast=options.fail_fast,
            trained=trained,
            fresh=options.force,
            keep=not options.scheduler,
            final=final,
        )
    for name, cause in failed.items():
        print(f"latent-report: {name} failed: {cause}", file=sys.stderr)
    if options.no_report:
        return 1 if failed else 0
    return _build(study, options) or bool(failed)


def _build(study, options, only_new: bool = False) -> int:
    """Builds the report; with `only_new`, not when nothing that it shows has changed since it was last built."""
    from lib.settings import UserError
    from lib.study import freshness

    key = {**freshness.key(study), "assets": options.assets}
    if only_new and freshness.built(study) == key:
        print(f"report: {study.folder / 'index.html'}, unchanged")
        return 0
    from lib.study import report

    try:
        print(f"report: {report.build(study, strict=options.strict, assets=options.assets)}")
    except UserError as error:  # not status 2: the input was good
        print(f"latent-report: {error}", file=sys.stderr)
        return 1
    _say_gaps(study, options)
    freshness.remember(study, key)
    return 0


def _say_gaps(study, options) -> None:
    """Says how many runs the report lacks, and how to make them."""
    counts = json.loads((study.folder / "summary.json").read_bytes())
    if not (gaps := counts["runs"] - counts["done"]):
        return
    words = ["latent-report", "run", options.study, *(["--out", options.out] if options.out else [])]
    words += [word for pair in options.parameters for word in ("-p", *pair)]
    how = "" if study.as_found else f"; to make what is missing: {shlex.join(words)}"
    print(f"latent-report: the report lacks {gaps} of {counts['runs']} runs{how}", file=sys.stderr)


def _report(options) -> int:
    study = _study(options, check_data=False)
    _check_folders(study)
    return _build(study, options)


def _status(options) -> int:
    from lib.study import batch

    study = _study(options, check_data=False)
    states = batch.states(study)
    if options.json:
        rows = [{"run": name, "state": state, "why": why} for name, (state, why) in states.items()]
        print(json.dumps(rows, indent=1))
        return 0
    width = max(map(len, states))
    for name, (state, why) in states.items():
        print(f"{name:{width}}  {state:9}  {why}".rstrip())
    kinds = [state for state, _ in states.values()]
    print(f"{len(kinds)} runs: " + ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds)))
    return 0


def _export(options) -> int:
    from lib.study import batch

    study = _study(options)
    print(f"{len(study.runs)} runs: sh {batch.export(study, options.folder)}")
    return 0


def _data(options) -> int:
    from lib import data
    from lib.settings import UserError

    if options.action == "list":
        print(data.listing())
        return 0
    if not options.name:
        raise UserError(
            f"data {options.action}: expected a NAME or PATH, one of {', '.join(data.BUILT_IN)} or an .npz file"
        )
    if options.action == "fetch":
        print(data.fetch(options.name))
    print(data.verify(options.name))
    return 0


if __name__ == "__main__":
    sys.exit(main())
