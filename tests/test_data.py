import functools
import gzip
import hashlib
import http.server
import io
import json
import os
import pickle
import socket
import subprocess
import sys
import tarfile
import threading
from pathlib import Path

import numpy as np
import pytest

from lib import data
from lib.data import DATASETS, dataset, download, generated, npz
from lib.errors import UserError

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ("x_train", "x_test")
SHARED = Path(os.environ.get("LATENT_REPORT_SHARED") or ROOT.parent / "shared" / "data")


def images(count, *shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), np.uint8)


def arrays(*shape, train=40, test=20):
    """A small dataset, as np.savez takes it."""
    return {
        "x_train": images(train, *shape, seed=1),
        "y_train": np.arange(train, dtype=np.uint8) % 10,
        "x_test": images(test, *shape, seed=2),
        "y_test": np.arange(test, dtype=np.uint8) % 10,
    }


def digests(of):
    return {key: hashlib.sha256(array.tobytes()).hexdigest() for key, array in of.items()}


def use_source(monkeypatch, name, **changes):
    monkeypatch.setitem(data.SOURCES, name, data.SOURCES[name]._replace(**changes))


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    """An empty data folder."""
    folder = tmp_path / "data of tests"
    folder.mkdir()
    monkeypatch.setenv("LATENT_REPORT_DATA", str(folder))
    return folder


@pytest.fixture
def fake_mnist(monkeypatch):
    made = arrays(28, 28)
    monkeypatch.setattr(dataset, "MNIST_SHA256", digests(made))
    return made


@pytest.fixture
def server(tmp_path):
    """A folder and the address at which it is served."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    served = tmp_path / "served"
    served.mkdir()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=served)) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield served, f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()


class Python2Pickler(pickle.Pickler):
    def reducer_override(self, value):
        if isinstance(value, np.dtype):  # Python 2 wrote 0 and 1 where later ones write False and True
            return np.dtype, (value.str[1:], 0, 1), value.__reduce__()[2]
        return NotImplemented


def packed(batches, inside="cifar-10-batches-py"):
    """A tar.gz of {name: bytes}, laid out as CIFAR-10's."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in batches.items():
            member = tarfile.TarInfo(f"{inside}/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture
def fake_cifar10(monkeypatch):
    """(an archive's bytes, the six batches' rows uint8 [5, 3072], their labels); the published digests are its own."""
    rows = {name: images(5, 3072, seed=seed) for seed, name in enumerate(download.CIFAR10_MD5)}
    labels = {name: [seed, 1, 2, 3, 9] for seed, name in enumerate(download.CIFAR10_MD5)}
    batches = {}
    for name in reversed(download.CIFAR10_MD5):  # the order in the archive must not matter
        buffer = io.BytesIO()
        Python2Pickler(buffer, protocol=2).dump({b"data": rows[name], b"labels": labels[name]})
        batches[name] = buffer.getvalue()
    archive = packed(batches)
    monkeypatch.setattr(download, "CIFAR10_MD5", {name: hashlib.md5(batches[name]).hexdigest() for name in rows})
    use_source(monkeypatch, "cifar10", sha256=hashlib.sha256(archive).hexdigest())
    monkeypatch.setattr(npz, "FEWEST", {"x_train": 5, "x_test": 5})
    return archive, rows, labels


class Bomb:
    """Makes a folder when it is unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


# --- what a dataset is ---


def test_the_import_is_light():
    code = "import sys, lib.data; print({'tensorflow', 'keras', 'sklearn', 'scipy', 'PIL'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_every_known_name_has_an_entry_and_an_offline_stand_in():
    assert set(data.SOURCES) < set(DATASETS)
    for name in data.SOURCES:
        stand_in = data.SOURCES[name].offline
        assert stand_in not in data.SOURCES
        assert data.header(stand_in)[1] == data.header(name)[1]


@pytest.mark.parametrize("name", ["digits", "shapes"])
def test_generated_datasets(name):
    loaded = data.load(name, validation=100)
    count, shape = data.header(name)
    assert loaded.shape == shape
    assert loaded.counts == {"train": count - 100, "validation": 100, "test": len(loaded.x_test)}
    assert loaded.x_train.dtype == np.uint8
    assert loaded.x_train.max() > 240
    assert loaded.y_train.dtype == np.int64
    assert len(loaded.class_names) == 10
    share = np.bincount(np.concatenate([loaded.y_train, loaded.y_validation]), minlength=10) / count
    assert share.min() > 0.08
    assert share.max() < 0.12
    assert (data.fingerprint(name), loaded.canonical) == (name, False)
    assert loaded.sha256 in data.verify(name)


def test_digits_are_all_there_once_and_framed():
    loaded = data.load("digits", validation=0)
    every = np.concatenate([loaded.x_train, loaded.x_test])
    assert loaded.counts == {"train": 1437, "validation": 0, "test": 360}
    assert len(np.unique(every.reshape(1797, -1), axis=0)) == 1797
    assert not every[:, [0, 1, 26, 27]].any()
    assert not every[:, :, [0, 1, 26, 27]].any()


def test_shapes_are_a_function_of_seed_and_place():
    first, labels = generated.shapes(512, seed=3)
    again, again_labels = generated.shapes(253, seed=3)
    np.testing.assert_array_equal(first[:253], again)
    np.testing.assert_array_equal(labels[:253], again_labels)
    assert not np.array_equal(first, generated.shapes(512, seed=4)[0])
    assert np.bincount(labels[:510]).tolist() == [51] * 10
    assert generated.shapes(0, seed=3)[0].shape == (0, 32, 32, 3)


def test_the_ten_shapes_differ():
    grid = np.linspace(-1.2, 1.2, 49)
    masks = [generated._distance(shape, *np.meshgrid(grid, grid)).ravel() < 0 for shape in generated.SHAPES]
    masks = np.stack(masks)
    overlap = (masks[:, None] & masks).sum(2) / (masks[:, None] | masks).sum(2)
    assert masks.any(1).all()
    assert overlap[~np.eye(10, dtype=bool)].max() < 0.9


def test_shapes_stand_out_from_their_ground(monkeypatch):
    drawn, _ = generated.shapes(100, seed=0)
    monkeypatch.setattr(generated, "_distance", lambda shape, x, y: x * 0 + 1)
    grounds, _ = generated.shapes(100, seed=0)
    change = np.abs(drawn.astype(int) - grounds).max(axis=3)
    assert np.quantile(change.reshape(100, -1), 0.97, axis=1).min() > 50


def test_the_split_is_disjoint_complete_and_fixed(tmp_path):
    path = tmp_path / "mine.npz"
    made = arrays(8, 8, 3, train=200)
    made["x_train"][:, 0, 0, 0] = np.arange(200)
    np.savez(path, **made)
    halves = data.load(str(path), validation=15)
    assert halves.counts == {"train": 185, "validation": 15, "test": 20}
    train, validation = halves.x_train[:, 0, 0, 0], halves.x_validation[:, 0, 0, 0]
    assert sorted([*train, *validation]) == list(range(200))
    assert np.ptp(validation) > 100  # drawn, not cut off
    np.testing.assert_array_equal(halves.y_train, train % 10)
    np.testing.assert_array_equal(halves.y_validation, validation % 10)
    np.testing.assert_array_equal(data.load(str(path), validation=15).x_validation, halves.x_validation)
    assert data.load(str(path)).counts["validation"] == 20  # a tenth
    whole = data.load(str(path), validation=0)
    assert whole.x_validation.shape == (0, 8, 8, 3)
    assert whole.sha256 == halves.sha256


# --- the user's own file ---


def test_known_images_stored_with_loss_are_named(tmp_path, monkeypatch):
    np.savez(path := tmp_path / "cifar10_jpeg.npz", **arrays(32, 32, 3))
    found = data.load(str(path))
    assert "reencoded" not in found.record()
    monkeypatch.setitem(dataset.REENCODED, found.sha256, ("cifar10", "CIFAR-10 through JPEG"))
    found = data.load(str(path))
    assert (found.canonical, found.record()["reencoded"]) == (False, "CIFAR-10 through JPEG")
    assert found.class_names == dataset.OBJECTS


@pytest.mark.parametrize(("stored", "shape"), [((28, 28), (28, 28, 1)), ((16, 16, 1), (16, 16, 1)), ((32, 32, 3),) * 2])
def test_own_file(tmp_path, monkeypatch, stored, shape):
    made = arrays(*stored)
    made["y_train"] = made["y_train"].reshape(-1, 1).astype(np.int32)
    made["x_train"] = np.asfortranarray(made["x_train"])
    np.savez_compressed(tmp_path / "my data.npz", **made, extra=np.ones(3))
    monkeypatch.chdir(tmp_path)
    loaded = data.load("my data.npz")
    assert data.header("my data.npz") == (40, shape)
    assert (loaded.name, loaded.shape, loaded.canonical, loaded.class_names) == ("my data.npz", shape, False, None)
    np.testing.assert_array_equal(loaded.x_test, made["x_test"].reshape(20, *shape))
    assert loaded.y_train.shape == (36,)
    assert json.loads(json.dumps(loaded.record())) == {
        "name": "my data.npz",
        "sha256": loaded.sha256,
        "canonical": False,
        "counts": {"train": 36, "validation": 4, "test": 20},
        "shape": list(shape),
    }


def test_own_file_without_labels_and_under_home(tmp_path, monkeypatch):
    made = arrays(8, 8)
    np.savez(tmp_path / "bare.npz", x_train=made["x_train"], x_test=made["x_test"])
    monkeypatch.setenv("HOME", str(tmp_path))
    loaded = data.load("~/bare.npz")
    assert (loaded.y_train, loaded.y_validation, loaded.y_test) == (None, None, None)
    assert "not canonical" in data.verify("~/bare.npz")


def test_the_digest_is_of_the_arrays_and_the_fingerprint_of_the_file(tmp_path):
    made = arrays(8, 8)
    np.savez(tmp_path / "a.npz", **made)
    np.savez_compressed(tmp_path / "b.npz", **made)
    made["y_test"][0] += 1
    np.savez(tmp_path / "c.npz", **made)
    a, b, c = (str(tmp_path / f"{name}.npz") for name in "abc")
    assert data.load(a).sha256 == data.load(b).sha256 != data.load(c).sha256
    before = data.fingerprint(a)
    assert before == hashlib.sha256(Path(a).read_bytes()).hexdigest() != data.fingerprint(b)
    os.replace(c, a)
    assert data.fingerprint(a) != before


def with_nan(made):
    made["x_train"] = made["x_train"] / np.float32(255)
    made["x_train"][0, 0, 0] = np.nan


def with_pickle(made):
    made["x_train"] = np.array([{"an": "object"}], dtype=object)


BAD_FILES = {
    "float with NaN": (with_nan, ["x_train is float32 (values 0 to 1, 1 NaN or infinite)", "uint8, values 0 to 255"]),
    "wide integers": (
        lambda made: made.update(x_test=made["x_test"].astype(int)),
        ["x_test is int64 (values 0 to 255)"],
    ),
    "objects": (with_pickle, ["x_train is object, expected uint8"]),
    "no images": (lambda made: made.update(x_train=made["x_train"][:0]), ["x_train has 0 images", "at least 20"]),
    "few images": (lambda made: made.update(x_test=made["x_test"][:9]), ["x_test has 9 images", "at least 10"]),
    "not square": (lambda made: made.update(x_train=images(40, 8, 9)), ["8x9", "square"]),
    "no pixels": (lambda made: made.update(x_train=images(40, 0, 0)), ["0x0", "square"]),
    "channels first": (lambda made: made.update(x_train=images(40, 3, 8, 8)), ["[40, 3, 8, 8]", "1 or 3 channels"]),
    "flat": (lambda made: made.update(x_train=images(40, 64)), ["[40, 64]", "[N, H, W]"]),
    "other test images": (lambda made: made.update(x_test=images(20, 9, 9)), ["[9, 9, 1]", "[8, 8, 1]", "x_test"]),
    "misnamed": (lambda made: made.update(x_tset=made.pop("x_test")), ["no array 'x_test'", "did you mean x_tset?"]),
    "one label array": (lambda made: made.pop("y_test"), ["only y_train", "neither"]),
    "labels too short": (lambda made: made.update(y_train=np.arange(39)), ["y_train is int64 of shape [39]", "[40]"]),
    "float labels": (lambda made: made.update(y_test=np.ones(20)), ["y_test is float64", "integers"]),
    "negative labels": (lambda made: made.update(y_test=-np.ones(20, int)), ["y_test has values -1 to -1", "0 to 999"]),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_own_file(tmp_path, case):
    spoil, expected = BAD_FILES[case]
    made = arrays(8, 8)
    spoil(made)
    path = tmp_path / "bad.npz"
    np.savez(path, **made)
    for read in (data.load, data.verify) if case == "negative labels" else (data.load, data.header, data.verify):
        with pytest.raises(UserError) as caught:
            read(str(path))
        for part in [str(path), *expected]:
            assert part in str(caught.value)
        assert "\n" not in str(caught.value)


def flipped(content):
    return content[:20_000] + bytes([content[20_000] ^ 255]) + content[20_001:]


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda content: content[:-1000], "no readable .npz"),
        (lambda content: content[: len(content) // 2], "no readable .npz"),
        (lambda content: b"", "no readable .npz"),
        (lambda content: b"<html>not found</html>", "no readable .npz"),
        (flipped, "is corrupt"),
    ],
)
def test_damaged_own_file(tmp_path, spoil, expected):
    path = tmp_path / "damaged.npz"
    np.savez(path, **arrays(28, 28))
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(UserError, match=expected) as caught:
        data.load(str(path))
    assert str(path) in str(caught.value)


def test_an_array_that_is_no_npy_is_refused(tmp_path):
    path = tmp_path / "single.npz"
    with path.open("wb") as file:
        np.save(file, images(40, 8, 8))
    with pytest.raises(UserError, match="zip"):
        data.load(str(path))


@pytest.mark.parametrize("read", [data.load, data.header, data.fingerprint, data.verify])
def test_names_that_lead_nowhere(tmp_path, read):
    with pytest.raises(UserError, match=r"'mnst' is neither one of .*did you mean mnist\?"):
        read("mnst")
    with pytest.raises(UserError, match=r"gone\.npz is not there"):
        read(str(tmp_path / "gone.npz"))
    (tmp_path / "folder.npz").mkdir()
    with pytest.raises(UserError, match="is a folder"):
        read(str(tmp_path / "folder.npz"))


# --- known files ---


def test_mnist_put_there_by_hand(home, fake_mnist):
    np.savez_compressed(home / "mnist.npz", **fake_mnist)
    loaded = data.load("mnist")
    assert (loaded.name, loaded.canonical, loaded.shape) == ("mnist", True, (28, 28, 1))
    assert data.fetch("mnist") == home / "mnist.npz"
    assert data.load(str(home / "mnist.npz")).canonical  # the same arrays by their path
    assert "present" in data.listing()


def test_another_mnist_is_refused(home, fake_mnist):
    fake_mnist["x_test"][3, 4, 5] ^= 1
    np.savez(home / "mnist.npz", **fake_mnist)
    with pytest.raises(UserError) as caught:
        data.load("mnist")
    found = hashlib.sha256(fake_mnist["x_test"].tobytes()).hexdigest()
    for part in (str(home / "mnist.npz"), "x_test", found, dataset.MNIST_SHA256["x_test"], "delete"):
        assert part in str(caught.value)
    assert not data.load(str(home / "mnist.npz")).canonical  # by its path it is the user's own


@pytest.mark.parametrize("name", data.SOURCES)
def test_a_truncated_known_file_is_refused(home, fake_mnist, name):
    np.savez(home / f"{name}.npz", **fake_mnist)
    os.truncate(home / f"{name}.npz", 30_000)
    with pytest.raises(UserError, match=rf"{name}\.npz:? is (no readable|not as) .*delete .*data fetch {name}"):
        data.load(name)


def test_without_network(home):
    for name, file, stand_in in (
        ("mnist", "mnist.npz", "digits"),
        ("cifar10", "cifar-10-python.tar.gz", "shapes"),
        ("fashion_mnist", "train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k", "digits"),
        ("cifar100", "cifar-100-python.tar.gz", "shapes"),
    ):
        for read in (data.load, data.fetch, data.fingerprint, data.verify):
            with pytest.raises(UserError) as caught:
                read(name)
            for part in (f"{name}.npz", file, str(home), f"`latent-report data fetch {name}`", repr(stand_in)):
                assert part in str(caught.value)
            assert ("failed" in str(caught.value)) == (read in (data.load, data.fetch))
    assert {path.name for path in home.iterdir()} <= {".lock"}


def test_a_silent_network_is_given_up_soon(monkeypatch):
    monkeypatch.setattr(download, "CONNECT_SECONDS", 0.1)
    released = threading.Event()
    monkeypatch.setattr(download.urllib.request, "urlopen", lambda *_, **__: released.wait(60))
    with pytest.raises(UserError, match=r"failed: no answer in 0\.1 s"):
        data.load("mnist")
    released.set()


def test_fetch_keeps_what_is_published_and_nothing_else(home, server, monkeypatch, fake_mnist, capsys):
    served, address = server
    np.savez(served / "mnist.npz", **fake_mnist)
    right = hashlib.sha256((served / "mnist.npz").read_bytes()).hexdigest()
    use_source(monkeypatch, "mnist", url=f"{address}/mnist.npz", sha256="0" * 64)
    with pytest.raises(UserError, match="nothing was kept"):
        data.fetch("mnist")
    assert {path.name for path in home.iterdir()} <= {".lock"}

    assert capsys.readouterr().out.endswith("\r0 MB\n")  # the file is small

    use_source(monkeypatch, "mnist", sha256=right)
    np.testing.assert_array_equal(data.load("mnist").x_test[..., 0], fake_mnist["x_test"])
    assert capsys.readouterr().out.count("\n") == 1
    assert {path.name for path in home.iterdir()} <= {".lock", "mnist.npz"}
    assert socket.getdefaulttimeout() is None

    (home / "mnist.npz").unlink()
    use_source(monkeypatch, "mnist", url=f"{address}/gone.npz")
    with pytest.raises(UserError, match="404"):
        data.load("mnist")


def test_a_folder_that_cannot_be_made(home, monkeypatch):
    (home / "file").touch()
    monkeypatch.setenv("LATENT_REPORT_DATA", str(home / "file"))
    with pytest.raises(UserError, match="LATENT_REPORT_DATA"):
        data.fetch("mnist")


@pytest.mark.parametrize("name", ["digits", "mine.npz", "mnst"])
def test_nothing_else_is_fetched(name):
    with pytest.raises(UserError, match="only mnist, cifar10, fashion_mnist and cifar100 are fetched"):
        data.fetch(name)


def test_cifar10_is_converted_from_its_archive(home, fake_cifar10):
    archive, rows, labels = fake_cifar10
    (home / "cifar-10-python.tar.gz").write_bytes(archive)
    assert "to be converted" in data.listing()
    before = data.fingerprint("cifar10")
    loaded = data.load("cifar10", validation=0)
    assert (loaded.canonical, loaded.shape, loaded.counts["train"]) == (True, (32, 32, 3), 25)
    names = list(rows)
    for at, name in ((0, names[0]), (20, names[4])):
        np.testing.assert_array_equal(loaded.x_train[at, :, :, 1].ravel(), rows[name][0, 1024:2048])
        assert loaded.y_train[at] == labels[name][0]
    np.testing.assert_array_equal(loaded.x_test[4, 2, 3], rows["test_batch"][4].reshape(3, 32, 32)[:, 2, 3])
    assert loaded.y_test.tolist() == labels["test_batch"]
    kept = {"cifar-10-python.tar.gz", "cifar10.npz", "cifar10.json"}
    assert {path.name for path in home.iterdir()} - {".lock"} == kept
    assert data.fingerprint("cifar10") == before


def test_a_file_of_a_users_is_not_replaced_by_the_record(home, fake_cifar10):
    (home / "cifar-10-python.tar.gz").write_bytes(fake_cifar10[0])
    (home / "cifar10.json").write_text('{"mine": 1}')
    with pytest.raises(UserError, match=r"cifar10\.json is none of ours and would be lost: move it away"):
        data.fetch("cifar10")
    assert (home / "cifar10.json").read_text() == '{"mine": 1}'
    assert not (home / "cifar10.npz").exists()


@pytest.mark.parametrize("spoil", ["arrays", "another archive", "no record", "a broken record"])
def test_cifar10_of_unknown_origin_is_refused(home, fake_cifar10, monkeypatch, spoil):
    (home / "cifar-10-python.tar.gz").write_bytes(fake_cifar10[0])
    path = data.fetch("cifar10")
    if spoil == "arrays":
        with np.load(path) as file:
            made = dict(file)
        made["x_train"][0, 0, 0, 0] ^= 1
        np.savez(path, **made)
    if spoil == "another archive":
        use_source(monkeypatch, "cifar10", sha256="0" * 64)
    if spoil == "no record":
        path.with_suffix(".json").unlink()
    if spoil == "a broken record":
        path.with_suffix(".json").write_text("[]")
    with pytest.raises(UserError, match=r"cifar10.*delete") as caught:
        data.load("cifar10")
    assert str(path) in str(caught.value)


def idx(array):
    """A gzipped file in MNIST's format."""
    return gzip.compress(bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes())


@pytest.fixture
def fake_fashion(monkeypatch):
    """(the arrays, the four files' bytes by name); the published digests are their own."""
    made = arrays(28, 28)
    files = dict(zip(data.SOURCES["fashion_mnist"].files, map(idx, made.values()), strict=True))
    first, *others = ((name, hashlib.sha256(content).hexdigest()) for name, content in files.items())
    use_source(monkeypatch, "fashion_mnist", sha256=first[1], beside=tuple(others))
    return made, files


@pytest.mark.parametrize("by_hand", [0, 1, 4])
def test_fashion_mnist_is_made_of_its_four_files(home, server, monkeypatch, fake_fashion, by_hand, capsys):
    (made, files), (served, address) = fake_fashion, server
    for number, (name, content) in enumerate(files.items()):
        (home if number < by_hand else served).joinpath(name).write_bytes(content)
    use_source(monkeypatch, "fashion_mnist", url=f"{address}/{next(iter(files))}")
    if by_hand < 4:
        with pytest.raises(UserError, match="fetch it with `latent-report data fetch fashion_mnist`"):
            data.fingerprint("fashion_mnist")  # downloads nothing
    loaded = data.load("fashion_mnist", validation=0)
    for name in IMAGES:
        np.testing.assert_array_equal(getattr(loaded, name)[..., 0], made[name])
    np.testing.assert_array_equal(loaded.y_test, made["y_test"])
    assert (loaded.name, loaded.canonical) == ("fashion_mnist", False)
    assert capsys.readouterr().out.count("downloading") == 4 - by_hand
    assert "as published" in data.verify("fashion_mnist")
    assert "present" in data.listing()
    assert data.fingerprint("fashion_mnist") == loaded.fingerprint


@pytest.mark.parametrize("number", [0, 3])
def test_a_spoilt_file_of_fashion_mnist_is_refused(home, server, monkeypatch, fake_fashion, number):
    (_, files), (served, address) = fake_fashion, server
    names = list(files)
    for name, content in files.items():
        (served / name).write_bytes(content)
    use_source(monkeypatch, "fashion_mnist", url=f"{address}/{names[0]}")
    (served / names[number]).write_bytes(b"another")
    with pytest.raises(UserError, match=rf"{names[number]} failed: it has sha256 .*nothing was kept"):
        data.load("fashion_mnist")
    assert {path.name for path in home.iterdir()} <= {".lock"}
    (home / names[number]).write_bytes(b"another")
    with pytest.raises(UserError, match=rf"{names[number]} has sha256 .*nothing in it was read"):
        data.load("fashion_mnist")
    assert not (home / "fashion_mnist.npz").exists()


def test_a_converted_file_that_was_changed_is_refused(home, fake_fashion):
    made, files = fake_fashion
    for name, content in files.items():
        (home / name).write_bytes(content)
    path = data.fetch("fashion_mnist")
    np.savez(path, **(made | {"x_test": made["x_test"] // 2}))
    for read in (data.load, data.fingerprint, data.verify):
        with pytest.raises(UserError, match=r"is not as it was converted .*; delete the file"):
            read("fashion_mnist")
    assert not data.load(str(path)).canonical  # by its path it is the user's own


def test_cifar100_is_converted_from_its_archive(home, monkeypatch):
    rows = {name: images(12, 3072, seed=seed) for seed, name in enumerate(download.CIFAR100_MD5)}
    batches = {}
    for name in rows:
        buffer = io.BytesIO()
        labels = {b"coarse_labels": [3] * 12, b"fine_labels": [99, *range(11)]}
        Python2Pickler(buffer, protocol=2).dump({b"data": rows[name], **labels})
        batches[name] = buffer.getvalue()
    monkeypatch.setattr(npz, "FEWEST", {"x_train": 5, "x_test": 5})
    archive = packed(batches, "cifar-100-python")
    (home / "cifar-100-python.tar.gz").write_bytes(archive)
    use_source(monkeypatch, "cifar100", sha256=hashlib.sha256(archive).hexdigest())
    with pytest.raises(UserError, match=r"cifar100: train in the archive has md5"):
        data.load("cifar100")
    md5s = {name: hashlib.md5(content).hexdigest() for name, content in batches.items()}
    monkeypatch.setattr(download, "CIFAR100_MD5", md5s)
    loaded = data.load("cifar100", validation=0)
    np.testing.assert_array_equal(loaded.x_test[4, 2, 3], rows["test"][4].reshape(3, 32, 32)[:, 2, 3])
    assert loaded.y_train[:2].tolist() == [99, 0]
    assert data.header("cifar100")[1] == loaded.shape


# --- malice ---


def test_no_pickle_is_executed(home, tmp_path, monkeypatch, fake_mnist):
    marker = tmp_path / "executed"
    evil = pickle.dumps(Bomb(marker))
    pickle.loads(evil)
    marker.rmdir()  # it works

    (home / "cifar-10-python.tar.gz").write_bytes(packed(dict.fromkeys(download.CIFAR10_MD5, evil)))
    with pytest.raises(UserError, match="nothing in it was read"):
        data.load("cifar10")
    use_source(
        monkeypatch, "cifar10", sha256=hashlib.sha256((home / "cifar-10-python.tar.gz").read_bytes()).hexdigest()
    )
    with pytest.raises(UserError, match=r"data_batch_1 .* md5"):
        data.load("cifar10")

    made = arrays(28, 28)
    for content in (
        evil,
        {**made, "x_train": np.array([Bomb(marker)])},
        {**made, "y_test": np.array([Bomb(marker)] * 20)},
    ):
        for path in (home / "cifar10.npz", home / "mnist.npz", tmp_path / "mine.npz"):
            if isinstance(content, bytes):
                path.write_bytes(content)
            else:
                np.savez(path, **content)
            name = str(path) if path.stem == "mine" else path.stem
            for read in (data.load, data.verify):
                with pytest.raises(UserError):
                    read(name)
    assert not marker.exists()


# --- the real ones, where they are ---


@pytest.mark.skipif(not (SHARED / "mnist.npz").is_file(), reason="no real MNIST here")
def test_real_mnist(monkeypatch):
    monkeypatch.setenv("LATENT_REPORT_DATA", str(SHARED))
    loaded = data.load("mnist")
    assert loaded.canonical
    assert loaded.counts == {"train": 55_000, "validation": 5_000, "test": 10_000}
    assert (sum(loaded.counts.values()) - 10_000, loaded.shape) == data.header("mnist")


@pytest.mark.skipif(not (SHARED / "cifar10_head.npz").is_file(), reason="no real CIFAR-10 here")
def test_part_of_cifar10_is_a_custom_dataset():
    name = str(SHARED / "cifar10_head.npz")
    loaded = data.load(name, validation=0)
    assert not loaded.canonical
    assert (loaded.counts["train"], loaded.shape) == data.header(name) == (3805, (32, 32, 3))
