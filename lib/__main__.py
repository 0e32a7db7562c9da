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
    from lib.errors import UserError

    options = _parser().parse_args(arguments)
    if home := os.environ.get("LATENT_REPORT_DATA"):  # kernels work in another folder
        os.environ["LATENT_REPORT_DATA"] = os.path.abspath(os.path.expanduser(home))
    for name in ("MPLBACKEND", "PYTHONWARNINGS"):  # kernels inherit them, and may stop at what they say
        os.environ.pop(name, None)
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
    _flag(run, "--dry-run", "only show what would run, why and for how long")
    _flag(run, "--force", "run everything from the start, including what is done")
    _flag(run, "--fail-fast", "stop at the first run that fails")
    _flag(run, "--no-report", "do not build the report")
    evaluate = _command(commands, "evaluate", _evaluate, "recompute the numbers of finished runs, without training")
    _flag(evaluate, "--no-report", "do not rebuild the report")
    evaluate.set_defaults(fail_fast=False, strict=False, force=True)
    report = _command(commands, "report", _report, "rebuild only the HTML")
    status = _command(commands, "status", _status, "show a table of the runs and their states")
    _flag(status, "--json", "print JSON, for use by programs")
    export = _command(commands, "export", _export, "write one YAML file per run, and a run.sh of papermill commands")
    export.add_argument("folder", type=Path, metavar="DIR", help="the folder for these files")
    for command in (run, evaluate):
        _engine(command)
    for command in (run, report):
        _flag(command, "--strict", "exit 1 when the report has gaps")
    for command in (run, evaluate, report):
        apart = "put the report's images into separate files, which are loaded as they come into view"
        _flag(command, "--assets", apart)

    words = "list, fetch or verify datasets, or pack images into an .npz file"
    datasets = commands.add_parser("data", help=words, description=words)
    datasets.add_argument("action", choices=["list", "fetch", "verify", "pack"], help="what to do")
    words = "a dataset's name, or the path of an .npz file or of a folder of images"
    datasets.add_argument("name", nargs="?", metavar="NAME|PATH", help=words)
    datasets.add_argument("out", nargs="?", metavar="OUT.npz", help="of `pack`: the file to write")
    words = "of `pack`: the side of the images, which are cut to squares in their middle"
    datasets.add_argument("--size", type=_number(4), metavar="PIXELS", help=words)
    _flag(datasets, "--grey", "of `pack`: make colour images grey")
    datasets.set_defaults(command=_data)
    return parser


def _flag(command: argparse.ArgumentParser, name: str, words: str) -> None:
    command.add_argument(name, action="store_true", help=words)


def _command(commands, name: str, function, words: str) -> argparse.ArgumentParser:
    """A command on a study, with the options that all of these share."""
    command = commands.add_parser(name, help=words, description=words)
    command.add_argument("study", metavar="STUDY", help="see `latent-report --help`")
    command.add_argument("--out", metavar="DIR", help="the study's folder (default: reports/STUDY)")
    pairs = {"nargs": 2, "action": "append", "default": [], "metavar": ("NAME", "VALUE")}
    command.add_argument("-p", dest="parameters", help="a setting for every run that has it; may be repeated", **pairs)
    command.set_defaults(command=function)
    return command


def _engine(command: argparse.ArgumentParser) -> None:
    """The options of the commands that execute runs."""

    def add(name: str, value: str, kind, words: str) -> None:
        command.add_argument(f"--{name}", type=kind, metavar=value, help=words)

    add("workers", "N", _number(1), "how many runs are made at a time (default: one per core, if memory allows)")
    add("scheduler", "ADDRESS", str, "use the Dask cluster at tcp://HOST:PORT instead of this machine")
    words = "only the I-th of N shares of the runs, from 0 to N-1: for SLURM's arrays and Kubernetes' indexed jobs"
    add("only", "I/N", _share, words)
    words = "limit for each run, such as 90s, 30m or 12h (default: 24h); a run that exceeds it keeps its checkpoint"
    add("time-limit", "TIME", _duration, words)
    words = "limit for the processes of each run, 0 for none (default: nine tenths of the machine's memory divided by "
    add("memory-limit", "GIB", _gib, words + "the number of workers, but at least 3)")
    add("retries", "N", _number(0), "how often a run is tried again if its worker process dies (default: 2)")
    command.set_defaults(time_limit=24 * 3600.0, retries=2)


def _expected(what: str, found: str) -> argparse.ArgumentTypeError:
    return argparse.ArgumentTypeError(f"expected {what}, found {found!r}")


def _duration(text: str) -> float:
    number, unit = (text[:-1], text[-1]) if text[-1:] in ("s", "m", "h") else (text, "")
    try:
        seconds = float(number) * {"s": 1, "m": 60, "h": 3600}[unit]
    except (ValueError, KeyError):
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise _expected("a time such as 90s, 30m or 12h", text)
    return seconds


def _gib(text: str) -> int:
    try:
        size = float(text)
    except ValueError:
        size = -1.0
    if not 0 <= size < 1e6:
        raise _expected("a number of GiB, 0 for no limit", text)
    return int(size * 2**30)


def _number(least: int):
    def whole(text: str) -> int:
        if not text.isdigit() or int(text) < least:
            raise _expected(f"a whole number from {least}", text)
        return int(text)

    return whole


def _share(text: str) -> tuple[int, int]:
    number, _, count = text.partition("/")
    if not (number.isdigit() and count.isdigit() and int(number) < int(count)):
        raise _expected("I/N with I from 0 to N-1, such as 0/8", text)
    return int(number), int(count)


def _study(options, check_data: bool = True):
    """The checked study; runs in its folder that cannot be shown are named."""
    from lib.study import plan

    overrides = {name: plan.parsed(text, f"-p {name}") for name, text in options.parameters}
    study = plan.read(options.study, overrides, options.out, check_data=check_data)
    if study.skipped:
        print(f"latent-report: left out in {study.folder / 'runs'}: {'; '.join(study.skipped)}", file=sys.stderr)
    return study


def _run(options) -> int:
    from lib import data, runs
    from lib.errors import UserError
    from lib.study import command, engine

    study = _study(options)
    if study.as_found:
        raise UserError(
            f"{options.study}: nothing to run: this folder has finished runs, but no study file; "
            "`latent-report report` shows them"
        )
    engine.check_folders(study)
    if options.dry_run:
        states = engine.states_of(study)
        print(outlook := engine.Outlook(study, states, options.only, options.force, options.workers))
        for name, cost in outlook.costs.items():
            state, why = states[name]
            print(f"  {name}  {state}{': ' + why if why else ''}  (about {runs.duration(cost.total)})")
        return 0
    engine.prepare(study)
    with command.noted(study.folder):
        for dataset in dict.fromkeys(run.settings.dataset for run in study.runs):
            if dataset in data.SOURCES:
                data.fetch(dataset)  # a no-op when it is there
        outlook = engine.Outlook(study, engine.states_of(study), options.only, options.force)
        return _execute(study, outlook.todo, outlook.trained, options, outlook.head)


def _evaluate(options) -> int:
    from lib.errors import UserError
    from lib.study import command, engine

    study = _study(options)
    engine.check_folders(study)
    mine = engine.share(study.runs, options.only)
    states = engine.states_of(study)
    todo = [run for run in mine if states[run.name][0] in ("done", "unscored")]
    if not todo:
        kinds = [state for state, _ in states.values()]
        words = ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))
        raise UserError(f"{study.folder}: no finished run ({words}); `latent-report run` makes them")
    engine.prepare(study)
    head = f"{study.title}: the numbers of {len(todo)} of {len(mine)} runs"
    with command.noted(study.folder):
        return _execute(study, todo, {run.name for run in todo}, options, head)


def _execute(study, todo, trained, options, head: str) -> int:
    """Checks what runs need, then executes them, here or on a cluster, and builds the report.

    Args:
        head: what is said first, once the checks have passed.
    """
    from lib import data
    from lib.data.cache import scores_folder
    from lib.report import beside
    from lib.study import cluster, engine, kernel

    if not todo:
        print(head, flush=True)
        return _finish(study, options, only_new=True)
    kernel.check()
    scores_folder()  # a folder that cannot be written to is found now, not by every run
    for dataset in {run.settings.dataset for run in todo}:
        if dataset in data.SOURCES or dataset not in data.BUILT_IN:
            data.verify(dataset)  # so is a damaged file
    limits = engine.Limits(options.time_limit, options.memory_limit, options.retries)
    here = engine.workers_and_threads(len(todo), options.workers)
    alone = not (options.no_report or options.only)
    crew_here = cluster.connected(options.scheduler, study) if options.scheduler else engine.local(*here)
    with crew_here as crew, beside.report(study, alone) as ended:
        costs = engine.costs(todo, crew.threads, trained)
        print(head + engine.expected(costs, crew.workers, crew.threads), flush=True)
        if alone:
            print(f"each run's page, with its images, appears in {study.folder / 'notebooks'} when it ends", flush=True)
        ways = {"fail_fast": options.fail_fast, "trained": trained, "fresh": options.force, "ended": ended}
        failed = engine.run_all(todo, crew, limits, **ways)
    for name, cause in failed.items():
        print(f"latent-report: {name} failed: {cause}", file=sys.stderr)
    return _finish(study, options) or bool(failed)


def _finish(study, options, only_new: bool = False) -> int:
    """Builds the report, if it is wanted; after a share of the runs, if all the others are done too."""
    from lib.study import engine

    if options.no_report:
        return 0
    if options.only and (lacking := [name for name, (state, _) in engine.states_of(study).items() if state != "done"]):
        print(
            f"no report yet: {len(lacking)} of the study's {len(study.runs)} runs are not done; "
            "`latent-report report` builds it from those that are"
        )
        return 0
    return _build(study, options, only_new)


def _build(study, options, only_new: bool = False) -> int:
    """Builds the report; with `only_new`, not when nothing that it shows has changed since it was last built."""
    from lib.errors import UserError
    from lib.report import freshness
    from lib.runs import locks
    from lib.study import command, engine, plan

    evidence = plan.evidence(study)
    key = {**freshness.key(study, evidence), "assets": options.assets}
    try:
        engine.prepare(study)
        command.say(stage="report")
        with locks.waiting(study.folder / ".lock"):  # for another command that builds it
            if only_new and freshness.built(study) == key:
                print(f"report: {study.folder / 'index.html'}, unchanged")
                return 0
            from lib.report import page

            print(f"report: {page.build(study, evidence, strict=options.strict, apart=options.assets)}")
            freshness.remember(study, key)
    except UserError as error:  # not status 2: the input was good
        print(f"latent-report: {error}", file=sys.stderr)
        return 1
    _say_gaps(study, options)
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
    from lib.study import engine

    study = _study(options, check_data=False)
    engine.check_folders(study)
    return _build(study, options)


def _status(options) -> int:
    from lib.study import engine

    study = _study(options, check_data=False)
    states = engine.states_of(study)
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
    from lib.study import engine

    study = _study(options)
    print(f"{len(study.runs)} runs: sh {engine.export(study, options.folder)}")
    return 0


def _data(options) -> int:
    from lib import data
    from lib.errors import UserError

    if options.action == "list":
        print(data.listing())
        return 0
    if not options.name:
        raise UserError(
            f"data {options.action}: expected a NAME or PATH, one of {', '.join(data.BUILT_IN)} or an .npz file"
        )
    if (options.action == "pack") != bool(options.out):
        raise UserError("expected `data pack PATH OUT.npz`, or no second file")
    if options.action == "pack":
        options.name = str(data.pack(options.name, options.out, options.size, options.grey))
    if options.action == "fetch":
        print(data.fetch(options.name))
    print(data.verify(options.name))
    return 0


if __name__ == "__main__":
    sys.exit(main())
