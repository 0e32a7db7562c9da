"""Study files: what they mean, and every way in which one can be wrong."""

import json

import pytest

from lib.settings import UserError
from lib.study import plan

HEAD = "datasets: {mnist: digits, cifar10: shapes}\n"


def test_homework_has_the_write_ups_runs(npz, tmp_path, study):
    mnist, cifar = npz(1, 28, 800, "m.npz"), npz(3, 32, 800, "c.npz")
    path = study(f"extends: {plan.PARAMETERS_DIR / 'homework.yaml'}\ndatasets: {{mnist: {mnist}, cifar10: {cifar}}}\n")
    found = {}
    for run in plan.read(str(path)).runs:
        found.setdefault(run.settings.notebook, set()).add((run.settings.latent_dim, run.settings.width))
        assert run.settings.network == "mlp"
    vae = {(2, 512), (10, 512), (20, 512), (2, 256), (2, 1024)}
    assert found == {
        "vae_mnist": vae,
        "vae_cifar10": vae,
        "gan_mnist": {(10, 256), (100, 256), (10, 1024)},
        "gan_cifar10": {(10, 256), (100, 256), (100, 1024)},
        "wgan_mnist": {(10, 128), (100, 128), (100, 1024)},
        "wgan_cifar10": {(10, 128), (100, 128), (100, 512)},
    }


def test_demo_has_22_runs_and_17_figures():
    demo = plan.read("demo")
    assert len(demo.runs) == 22
    assert [figure.number for figure in demo.figures] == list(range(1, 18))
    assert demo.figures[14].runs[1] == ("wgan_mnist-latent_dim100-width1024-seed0",)


def test_names_hold_what_differs_from_the_studys_defaults(study):
    path = study(
        HEAD + "notebooks: {vae_mnist: {defaults: {epochs: 2}, runs: [{latent_dim: 3}, {latent_dim: 3, epochs: 4}]}}"
    )
    assert [run.name for run in plan.read(str(path)).runs] == [
        "vae_mnist-latent_dim3-width512-seed0",
        "vae_mnist-latent_dim3-width512-seed0-epochs4",
    ]


def test_a_list_is_a_grid_axis_and_the_same_setting_is_one_run(study):
    path = study(
        HEAD + "notebooks: {gan_mnist: {runs: [{latent_dim: [2, 3], seed: [0, 1]}, {latent_dim: 3, seed: 1}]}}"
    )
    assert len(plan.read(str(path)).runs) == 4


def grid(text, study, overrides=None):
    """What the runs of a study on one notebook have: (seed, width) of each, in order."""
    found = plan.read(str(study(HEAD + text)), overrides).runs
    return [(run.settings.seed, run.settings.width) for run in found]


def test_a_list_among_defaults_is_a_grid_axis_of_every_run_that_does_not_set_it(study):
    runs = "notebooks: {vae_mnist: {runs: [{width: 8}, {width: 9, seed: 7}]}}"
    assert grid("defaults: {seed: [0, 1]}\n" + runs, study) == [(0, 8), (1, 8), (7, 9)]
    own = "notebooks: {vae_mnist: {defaults: {width: [8, 9]}, runs: [{seed: [0, 1]}, {width: 5}]}}"
    assert grid(own, study) == [(0, 8), (0, 9), (1, 8), (1, 9), (0, 5)]
    narrowed = "notebooks: {vae_mnist: {defaults: {seed: 4}, runs: [{width: 8}]}}"
    assert grid("defaults: {seed: [0, 1]}\n" + narrowed, study) == [(4, 8)]


def test_one_value_of_the_command_line_replaces_a_list_among_defaults(study):
    text = "defaults: {seed: [0, 1, 2]}\nnotebooks: {vae_mnist: {runs: [{width: 8}]}}"
    assert grid(text, study, {"seed": 3}) == [(3, 8)]


def test_names_differ_from_what_stands_below_a_list_among_defaults(study):
    text = "defaults: {epochs: 2}\nnotebooks: {gan_mnist: {defaults: {epochs: [2, 3], seed: [0, 1]}, runs: [{}]}}"
    names = [run.name for run in plan.read(str(study(HEAD + text))).runs]
    assert [name.partition("-seed")[2] for name in names] == ["0", "1", "0-epochs3", "1-epochs3"]


@pytest.mark.parametrize(("over", "seeds"), [("5", [5]), ("[5, 6]", [5, 6]), ("null", [0])])
def test_an_extending_study_replaces_lists_and_values_among_defaults(study, over, seeds):
    for below in ("[0, 1, 2]", "1"):
        study(HEAD + f"defaults: {{seed: {below}}}\nnotebooks: {{vae_mnist: {{runs: [{{}}]}}}}", "base.yaml")
        child = study(f"extends: base.yaml\ndefaults: {{seed: {over}}}")
        assert [run.settings.seed for run in plan.read(str(child)).runs] == seeds


def test_seeds_are_the_homework_three_times(npz, study):
    mnist, cifar = npz(1, 28, 800, "m.npz"), npz(3, 32, 800, "c.npz")
    path = study(f"extends: {plan.PARAMETERS_DIR / 'seeds.yaml'}\ndatasets: {{mnist: {mnist}, cifar10: {cifar}}}\n")
    read = plan.read(str(path))
    assert len(read.runs) == 93
    assert {len(panel) for figure in read.figures for panel in figure.runs} == {3, 12}
    assert len(plan.read(str(path), {"seed": 0}).runs) == 22


def test_extends_merges_maps_and_null_takes_away(study):
    study(
        HEAD
        + "title: A\nnotebooks: {vae_mnist: {defaults: {epochs: 2, width: 9}, runs: [{}]}, gan_mnist: {runs: [{}]}}",
        "base.yaml",
    )
    child = study("extends: base.yaml\ntitle: B\nnotebooks: {vae_mnist: {defaults: {epochs: 3}}, gan_mnist: null}")
    read = plan.read(str(child))
    (run,) = read.runs
    assert (read.title, run.settings.epochs, run.settings.width) == ("B", 3, 9)


def test_command_line_wins_where_it_applies(study):
    path = study(HEAD + "notebooks: {wgan_mnist: {runs: [{n_critic: 4}]}, gan_mnist: {runs: [{}]}}")
    wgan, gan = plan.read(str(path), {"n_critic": 2, "epochs": 7}).runs
    assert (wgan.settings.n_critic, wgan.settings.epochs, gan.settings.epochs) == (2, 7, 7)


def test_relative_dataset_is_relative_to_the_study(study, npz, monkeypatch):
    npz()
    path = study("notebooks: {vae_mnist: {defaults: {dataset: tiny.npz, batch_size: 32}, runs: [{}]}}")
    monkeypatch.chdir("/")
    assert plan.read(str(path)).runs[0].settings.dataset == str(path.parent / "tiny.npz")


@pytest.mark.parametrize(
    "text",
    [
        "datasets: {mnist: tiny.npz}\nnotebooks: {vae_mnist: {runs: [{}]}}",
        "defaults: {dataset: tiny.npz}\nnotebooks: {vae_mnist: {runs: [{}]}}",
        "notebooks: {vae_mnist: {defaults: {dataset: tiny.npz}, runs: [{}]}}",
        "notebooks: {vae_mnist: {runs: [{dataset: tiny.npz}]}}",
        "notebooks: {vae_mnist: {runs: [{dataset: [tiny.npz]}]}}\n"
        "figures: [{number: 1, kind: loss, runs: [{vae_mnist: {dataset: tiny.npz}}]}]",
    ],
)
def test_inherited_relative_dataset_is_relative_to_the_file_that_names_it(study, npz, monkeypatch, text):
    npz()
    base = study(text, "base.yaml")
    (base.parent / "sub").mkdir()
    child = study("extends: ../base.yaml\ndefaults: {batch_size: 32}", "sub/child.yaml")
    monkeypatch.chdir("/")
    assert plan.read(str(child)).runs[0].settings.dataset == str(base.parent / "tiny.npz")


def test_relative_dataset_of_the_command_line_is_relative_to_the_current_folder(study, npz, monkeypatch, tmp_path):
    (tmp_path / "shell").mkdir()
    file = npz(name="shell/my.npz")
    path = study("defaults: {batch_size: 32}\nnotebooks: {vae_mnist: {runs: [{}]}}")
    monkeypatch.chdir(tmp_path / "shell")
    read = plan.read(str(path), {"dataset": "my.npz"})
    assert read.runs[0].settings.dataset == str(file)
    assert read.overrides == {"dataset": str(file)}  # for a kernel that works in another folder


def test_dataset_in_the_home_folder_is_recorded_as_such(study, npz, monkeypatch, tmp_path):
    (tmp_path / "home").mkdir()
    npz(name="home/my.npz")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    path = study("datasets: {mnist: ~/my.npz}\ndefaults: {batch_size: 32}\nnotebooks: {vae_mnist: {runs: [{}]}}")
    assert plan.read(str(path)).runs[0].settings.dataset == "~/my.npz"


def test_two_different_runs_of_one_name_are_refused(study, npz, tmp_path):
    for folder in "ab":
        (tmp_path / folder).mkdir()
        npz(name=f"{folder}/my.npz")
    head = "defaults: {batch_size: 32}\n"
    grid = study(head + "notebooks: {vae_mnist: {runs: [{dataset: [a/my.npz, b/my.npz]}]}}")
    with pytest.raises(UserError, match=r"different runs would be called vae_mnist-\S+ \(dataset: .+; rename a file$"):
        plan.read(str(grid))
    apart = study(head + "notebooks: {vae_mnist: {runs: [{dataset: a/my.npz}, {dataset: b/my.npz}]}}")
    with pytest.raises(UserError, match=r"vae_mnist\.runs\[0\] and notebooks\.vae_mnist\.runs\[1\]: two different"):
        plan.read(str(apart))
    long = ", ".join(f"{'x' * 40}{end}.npz" for end in "ab")
    cut = study(head + f"notebooks: {{vae_mnist: {{runs: [{{dataset: [{long}]}}]}}}}")
    with pytest.raises(UserError, match="two different runs"):
        plan.read(str(cut))


def test_absent_dataset_is_an_error_only_where_data_is_checked(study):
    path = study("notebooks: {vae_mnist: {runs: [{dataset: gone.npz}]}}")
    with pytest.raises(UserError, match=r"gone\.npz"):
        plan.read(str(path))
    (run,) = plan.read(str(path), check_data=False).runs
    assert run.settings.dataset == str(path.parent / "gone.npz")


def test_selectors_values_are_read_as_the_runs_are(study):
    path = study(
        HEAD
        + "notebooks: {gan_mnist: {runs: [{learning_rate: [1e-3, 1e-4]}]}}\n"
        + "figures: [{number: 1, kind: jsd, runs: [{gan_mnist: {learning_rate: 1e-3}}]}]"
    )
    read = plan.read(str(path))
    ((name,),) = read.figures[0].runs
    assert read.run(name).settings.learning_rate == 0.001


def test_selectors_may_name_one_run_a_seed(study):
    path = study(
        HEAD
        + "notebooks: {gan_mnist: {runs: [{seed: [0, 1]}]}}\nfigures: [{number: 1, kind: jsd, runs: [{gan_mnist: {}}]}]"
    )
    assert len(plan.read(str(path)).figures[0].runs[0]) == 2


RUNS = "notebooks: {vae_mnist: {runs: [{}]}}\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected a mapping"),
        ("- a\n- b", "expected a mapping"),
        ("title: x", "notebooks: no runs; expected at least one, for example"),
        ("notebook: {}", "unknown study key 'notebook' (did you mean notebooks?)"),
        ("notebooks: {vae_mnsit: {runs: [{}]}}", "did you mean vae_mnist?"),
        ("notebooks: {vae_mnist: {run: [{}]}}", "unknown notebooks.vae_mnist key 'run'"),
        ("notebooks: {vae_mnist: {runs: {}}}", "expected a list"),
        ("notebooks: {vae_mnist: {runs: []}}", "no runs"),
        ("notebooks: {vae_mnist: {runs: [{latent_dim: []}]}}", "empty grid"),
        ("notebooks: {vae_mnist: {runs: [{latent_dims: 3}]}}", "did you mean latent_dim?"),
        ("notebooks: {vae_mnist: {runs: [{latent_dim: two}]}}", "latent_dim = 'two'"),
        ("notebooks: {vae_mnist: {runs: [{learning_rate: yes}]}}", "boolean"),
        ("notebooks: {vae_mnist: {runs: [{width: null}]}}", "width = None"),
        ("notebooks: {vae_mnist: {runs: [{output_dir: ../../x}]}}", "use --out"),
        ("notebooks: {vae_mnist: {runs: [{notebook: gan_mnist}]}}", "cannot be set"),
        ("notebooks: {vae_mnist: {defaults: {output_dir: x}, runs: [{}]}}", "defaults: output_dir and notebook cannot"),
        ("notebooks: {vae_mnist: {defaults: {notebook: vae_mnist}, runs: [{}]}}", "cannot be set"),
        (RUNS + "defaults: {output_dir: x}", "cannot be set"),
        ("notebooks: {vae_mnist: {runs: [{dataset: shapes}]}}", "expects grey"),
        ("notebooks: {vae_mnist: {runs: [{dataset: nowhere.npz}]}}", "nowhere.npz"),
        ("notebooks: {vae_mnist: {runs: [{batch_size: 5000}]}}", "one step takes 5000"),
        (
            "notebooks: {vae_mnist: {runs: [{seed: ["
            + ",".join(["1"] * 200)
            + "], width: ["
            + ",".join(["1"] * 200)
            + "]}]}}",
            "more than 10000",
        ),
        (RUNS + "defaults: {latent: 3}", "unknown parameter 'latent'"),
        (RUNS + "defaults: {latent: [3]}", "unknown parameter 'latent'"),
        (RUNS + "defaults: {seed: []}", ": defaults.seed: an empty list makes an empty grid"),
        (RUNS + "defaults: {seed: [0, x]}", "notebooks.vae_mnist.defaults: seed = 'x'"),
        (RUNS + "defaults: {seed: [[0]]}", "notebooks.vae_mnist.defaults: seed = [0]"),
        (
            "notebooks: {vae_mnist: {defaults: {seeds: [0]}, runs: [{}]}}",
            "notebooks.vae_mnist.defaults: unknown parameter 'seeds'",
        ),
        (
            "notebooks: {vae_mnist: {defaults: {seed: []}, runs: [{seed: 1}]}}",
            "notebooks.vae_mnist.defaults.seed: an empty list",
        ),
        (
            RUNS + f"defaults: {{seed: {list(range(101))}, width: {list(range(1, 101))}}}",
            "notebooks.vae_mnist.runs[0]: the grid has more than 10000",
        ),
        (RUNS + "datasets: {mnits: digits}", "did you mean mnist?"),
        (RUNS + "extends: nowhere.yaml", "does not exist"),
        (RUNS + "extends: tiny.yaml", "perhaps in a circle"),
        (RUNS + "title: [a]", "title: expected a text"),
        (RUNS + "figures: {}", "figures: expected a list"),
        (RUNS + "figures: [{number: 1, kind: loss, run: []}]", "unknown figures[0] key 'run'"),
        (RUNS + "figures: [{kind: loss, runs: [{vae_mnist: {}}]}]", "figures[0].number is missing"),
        (RUNS + "figures: [{number: yes, kind: loss, runs: [{vae_mnist: {}}]}]", "figures[0].number: Input should be"),
        (RUNS + "figures: [{number: 0, kind: loss, runs: [{vae_mnist: {}}]}]", "greater than or equal to 1, found 0"),
        (RUNS + "figures: [{number: 1, kind: lose, runs: [{vae_mnist: {}}]}]", "did you mean loss?"),
        (
            RUNS + "figures: [{number: 1, kind: jsd, runs: [{vae_mnist: {}}]}]",
            "vae_mnist-latent_dim2-width512-seed0 has no figure of kind 'jsd'; known: gallery",
        ),
        (
            RUNS + "figures: [{number: 1, kind: {a: b}, runs: [{vae_mnist: {}}]}]",
            "figures[0].kind[0]: expected a text, found {'a': 'b'}",
        ),
        (
            RUNS + "figures: [{number: 1, kind: [[loss]], runs: [{vae_mnist: {}}]}]",
            "kind[0]: expected a text, found ['loss']",
        ),
        (
            RUNS + "figures: [{number: 1, kind: [], runs: [{vae_mnist: {}}]}]",
            "figures[0].kind: expected at least one, found []",
        ),
        (RUNS + "figures: [{number: 1, kind: loss, runs: [{vae_mnist: {width: {a: b}}}]}]", "width = {'a': 'b'}"),
        (RUNS + "figures: [{number: 1, kind: loss, runs: [{vae_mnist: {width: two}}]}]", "width = 'two'"),
        (RUNS + "figures: [{number: 1, kind: loss, runs: []}]", "figures[0].runs: expected at least one"),
        (RUNS + "figures: [{number: 1, kind: loss, runs: [{vae_mnist: {latent_dim: 77}}]}]", "selects no run"),
        (RUNS + "figures: [{number: 1, kind: loss, runs: [{vae_mnist: {latent: 2}}]}]", "did you mean latent_dim?"),
        (RUNS + "figures: [&a {number: 1, kind: loss, runs: [{vae_mnist: {}}]}, *a]", "aliases"),
        (RUNS + "title: a\ntitle: b", "appears twice"),
        (RUNS + "? [a]\n: 1", "a key must be a name"),
        (RUNS + "title: !!bool maybe", "tags (!name) are not supported"),
        (RUNS + "title: 0x" + "f" * 5000, "not valid YAML"),
        (RUNS + 'title: "\\ud800"', "not valid YAML"),
        (RUNS + "extends: " + "x" * 300, "does not exist"),
        (RUNS + 'extends: "a\\nb"', "does not exist"),
        ('notebooks: {vae_mnist: {runs: [{dataset: "\\0.npz"}]}}', "control character"),
        ("notebooks: {vae_mnist: {runs: [{dataset: ~nobody-here/x.npz}]}}", "nobody-here"),
        (RUNS + "title: !!python/object/apply:os.system ['false']", "not valid YAML"),
        ("notebooks: {vae_mnist: {runs: [{}]", "not valid YAML"),
        ("[" * 5000, "not valid YAML"),
        ("# " + "x" * 1_000_001, "at most 1000000"),
    ],
)
def test_broken_studies_are_refused_in_one_line(study, text, words):
    path = study(
        text if "dataset" in text or text.startswith(("[", "#")) else f"{text}\n{HEAD}" if "notebooks" in text else text
    )
    with pytest.raises(UserError) as error:
        plan.read(str(path))
    assert words in str(error.value)
    assert "tiny.yaml" in str(error.value)
    assert "\n" not in str(error.value)


ODD = (
    "null",
    "3",
    "-1.5",
    "true",
    "x",
    "''",
    "2020-01-01",
    "[]",
    "[[]]",
    "[x, 3]",
    "{}",
    "{x: {y: z}}",
    "{1: 2}",
    "[{}]",
)
PLACES = (
    "{}",
    "extends: {}",
    "title: {}",
    "date: {}",
    "defaults: {}",
    "defaults: {{width: {}}}",
    "defaults: {{width: [{}]}}",
    "defaults: {{dataset: {}}}",
    "datasets: {}",
    "datasets: {{mnist: {}}}",
    "notebooks: {}",
    "notebooks: {{vae_mnist: {}}}",
    "notebooks: {{gone.ipynb: {}}}",
    "notebooks: {{vae_mnist: {{defaults: {}}}}}",
    "notebooks: {{vae_mnist: {{defaults: {{network: {}}}, runs: [{{}}]}}}}",
    "notebooks: {{vae_mnist: {{runs: {}}}}}",
    "notebooks: {{vae_mnist: {{runs: [{}]}}}}",
    "notebooks: {{vae_mnist: {{runs: [{{dataset: {}}}]}}}}",
    "notebooks: {{vae_mnist: {{runs: [{{latent_dim: {}}}]}}}}",
    "figures: {}",
    "figures: [{}]",
    "figures: [{{number: {}, kind: loss, runs: [{{vae_mnist: {{}}}}]}}]",
    "figures: [{{number: 1, kind: {}, runs: [{{vae_mnist: {{}}}}]}}]",
    "figures: [{{number: 1, kind: loss, runs: {}}}]",
    "figures: [{{number: 1, kind: loss, runs: [{}]}}]",
    "figures: [{{number: 1, kind: loss, runs: [{{vae_mnist: {}}}]}}]",
    "figures: [{{number: 1, kind: loss, runs: [{{vae_mnist: {{width: {}}}}}]}}]",
    "figures: [{{number: 1, kind: loss, runs: [{{vae_mnist: {{}}}}], caption: {}}}]",
)


@pytest.mark.parametrize("place", PLACES)
def test_odd_values_anywhere_are_fine_or_refused_in_one_line(study, place):
    for odd in ODD:
        text = place.format(odd)
        lines = [text, "" if "datasets" in text else HEAD, "" if "notebooks" in text else RUNS]
        path = study(text if place == "{}" else "\n".join(lines))
        said = ""
        try:
            plan.read(str(path))
        except UserError as error:  # any other is a traceback to the user
            said = str(error)
        assert "\n" not in said


def test_unknown_study_gets_the_nearest():
    with pytest.raises(UserError, match=r"did you mean demo\?"):
        plan.read("demmo")


def test_unknown_override():
    with pytest.raises(UserError, match=r"-p: unknown parameter 'latent_dm' \(did you mean latent_dim\?\)"):
        plan.read("demo", {"latent_dm": 3})


def test_a_study_of_the_name_of_one_of_ours_needs_a_folder_of_its_own(study, tmp_path):
    path = study("notebooks: {vae_mnist: {runs: [{}]}}", name="demo.yaml")
    with pytest.raises(UserError, match=r"demo\.yaml in parameters/ has the same name: rename it or use --out DIR"):
        plan.read(str(path))
    assert plan.read(str(path), out=str(tmp_path / "x"), check_data=False).folder == tmp_path / "x"
    assert plan.read("demo").folder == plan.REPORTS_DIR / "demo"


def own_notebook(path, parameters="notebook: str = 'mine'\n", model=""):
    """A notebook with a parameters cell and, if it is given, a cell tagged `model`."""
    path.parent.mkdir(exist_ok=True, parents=True)
    cells = [
        {"cell_type": "code", "metadata": {"tags": [tag]}, "source": source, "outputs": [], "execution_count": None}
        for tag, source in (("parameters", parameters), ("model", model))
        if source
    ]
    path.write_text(json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    return path


OWN = "notebook: str = 'vae_warm_mnist'\nbeta: float = 1.0\nlatent_dim: int = 3\n"


def test_a_study_accepts_a_notebook_by_its_path(study, tmp_path, monkeypatch):
    path = own_notebook(tmp_path / "own" / "vae_warm_mnist.ipynb", OWN)
    file = study(
        HEAD + "notebooks: {own/vae_warm_mnist.ipynb: {runs: [{beta: [1, 4]}]}, gan_mnist: {runs: [{}]}}\n"
        "figures: [{number: 1, kind: latent_map, runs: [{own/vae_warm_mnist.ipynb: {beta: 4}}]}]"
    )
    monkeypatch.chdir("/")
    read = plan.read(str(file))
    first, second, _ = read.runs
    assert first.name == "vae_warm_mnist-latent_dim3-width512-seed0"
    assert second.name == "vae_warm_mnist-latent_dim3-width512-seed0-beta4.0"
    assert (second.settings.notebook, second.settings.beta) == (str(path), 4.0)
    assert second.settings.dataset == "digits"  # as the study's datasets say of the family mnist
    assert read.figures[0].runs == ((second.name,),)


def test_a_notebooks_path_is_relative_to_the_file_that_names_it(study, tmp_path):
    path = own_notebook(tmp_path / "vae_faces.ipynb", OWN.replace("vae_warm_mnist", "vae_faces"))
    study("notebooks: {vae_faces.ipynb: {defaults: {beta: 2}, runs: [{}]}}", "base.yaml")
    (tmp_path / "sub").mkdir()
    child = study("extends: ../base.yaml\nnotebooks: {../vae_faces.ipynb: {defaults: {beta: 3}}}", "sub/child.yaml")
    (run,) = plan.read(str(child), check_data=False).runs
    assert (run.settings.notebook, run.settings.beta, run.settings.family) == (str(path), 3.0, "")


def test_two_notebooks_of_one_name_are_refused(study, tmp_path):
    own_notebook(tmp_path / "vae_mnist.ipynb", OWN)
    file = study(HEAD + "notebooks: {vae_mnist: {runs: [{}]}, vae_mnist.ipynb: {runs: [{}]}}")
    with pytest.raises(UserError, match=r"notebooks: vae_mnist and /\S+/vae_mnist\.ipynb have the same name: rename"):
        plan.read(str(file))


def test_a_notebook_in_the_current_folder_is_not_found_by_its_name(study, tmp_path, monkeypatch):
    own_notebook(tmp_path / "vae_warm_mnist.ipynb", OWN)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"notebooks: vae_warm_mnist: .* by its path: vae_warm_mnist\.ipynb"):
        plan.read(str(study(HEAD + "notebooks: {vae_warm_mnist: {runs: [{}]}}")))


def test_one_notebook_named_in_two_ways_is_refused(study, tmp_path):
    own_notebook(tmp_path / "vae_warm_mnist.ipynb", OWN)
    file = study("notebooks: {vae_warm_mnist.ipynb: {}, ./vae_warm_mnist.ipynb: {runs: [{}]}}")
    with pytest.raises(
        UserError, match=r"^notebooks in /\S+: one notebook is named in two ways: vae_warm_mnist\.ipynb, "
    ):
        plan.read(str(file))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("notebooks: {gone.ipynb: {runs: [{}]}}", "gone.ipynb' is not one of vae_mnist, "),
        ("notebooks: {vae_warm_mnist.ipynb: {runs: [{bet: 2}]}}", "did you mean beta?"),
        ("notebooks: {vae_warm_mnist.ipynb: {runs: [{beta: high}]}}", "runs[0]: beta = 'high'"),
        ("notebooks: {vae_warm_mnist.ipynb: {defaults: {beta: yes}, runs: [{}]}}", "boolean"),
        ("notebooks: {vae_odd.ipynb: {runs: [{}]}}", "vae_odd.ipynb: no cell is tagged 'parameters'"),
        ("notebooks: {explore: {runs: [{}]}}", "no cell is tagged"),
        (
            "notebooks: {vae_warm_mnist.ipynb: {runs: [{}]}}\n"
            "figures: [{number: 1, kind: jsd, runs: [{vae_warm_mnist.ipynb: {}}]}]",
            "no figure of kind 'jsd'",
        ),
    ],
)
def test_broken_studies_of_own_notebooks_are_refused_in_one_line(study, tmp_path, text, words):
    own_notebook(tmp_path / "vae_warm_mnist.ipynb", OWN)
    own_notebook(tmp_path / "vae_odd.ipynb", "")
    with pytest.raises(UserError) as error:
        plan.read(str(study(HEAD + text)))
    assert words in str(error.value)
    assert str(error.value).count("tiny.yaml") == 1
    assert "\n" not in str(error.value)
