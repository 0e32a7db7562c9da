"""Folders of images as datasets, and `latent-report data pack`, which makes an .npz file of what people have."""

import shutil

import numpy as np
import pytest
from conftest import images
from PIL import Image
from test_own_data import COLOURED, CONVERTED, IMAGES, LABELS, arrays, changed

from lib import data
from lib.__main__ import main
from lib.data import packing
from lib.errors import UserError
from lib.settings import check_images


@pytest.fixture
def flowers(tmp_path):
    """A folder of 36 colour images of 8x8 in three classes, as PNG files."""
    made = images(36, 3)
    for number, image in enumerate(made):
        path = tmp_path / "my flowers" / ("daisy", "rose", "tulip")[number % 3] / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    return tmp_path / "my flowers"


def packed(source, out, **options):
    """What `pack` makes of a folder or file, loaded without validation images, and the lines that it says."""
    said = []
    path = data.pack(str(source), str(out), say=said.append, **options)
    return data.load(str(path), validation=0), said


def every(loaded):
    return np.concatenate([loaded.x_train, loaded.x_test])


def same(one, other):
    """Whether two stacks hold the same images in any order."""
    return sorted(image.tobytes() for image in one) == sorted(image.tobytes() for image in other)


# --- a folder ---


def test_a_folder_is_a_dataset(flowers, settings, capsys):
    loaded = data.load(str(flowers), validation=0)
    assert (loaded.name, loaded.canonical) == ("my flowers", False)
    assert loaded.counts == {"train": 26, "validation": 0, "test": 10}
    assert same(every(loaded), images(36, 3))
    numbers = {image.tobytes(): number for number, image in enumerate(images(36, 3))}
    assert [numbers[image.tobytes()] % 3 for image in loaded.x_train] == loaded.y_train.tolist()
    assert capsys.readouterr().err.count("\n") == 1
    assert data.header(str(flowers)) == (26, (8, 8, 3))
    assert data.fingerprint(f"{flowers}/") == loaded.fingerprint
    assert "my flowers: good" in data.verify(str(flowers))
    assert not loaded.changed
    assert not loaded.x_train.flags.writeable
    assert capsys.readouterr().err == ""  # it was made once
    settings("vae_cifar10", dataset=str(flowers))


def test_a_folders_fingerprint_is_that_of_its_images(flowers, home_of_data):
    before = data.fingerprint(str(flowers))
    shutil.rmtree(home_of_data)
    assert data.fingerprint(str(flowers)) == before  # made again, the file is the same
    shutil.copytree(flowers, copy := flowers.parent / "copy")
    assert data.fingerprint(str(copy)) == before
    Image.fromarray(images(1, 3, seed=5)[0]).save(flowers / "rose" / "01.png")
    assert data.fingerprint(str(flowers)) != before


@pytest.fixture
def home_of_data(tmp_path, monkeypatch):
    monkeypatch.setenv("LATENT_REPORT_DATA", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_train_and_test_are_taken_from_folders_of_these_names(flowers, tmp_path):
    for part in ("train", "test"):
        shutil.copytree(flowers, tmp_path / "split" / part)
    shutil.rmtree(tmp_path / "split" / "test" / "rose")
    (tmp_path / "split" / "notes.png").write_bytes(b"no image, and in neither part")
    loaded, said = packed(tmp_path / "split", tmp_path / "out.npz")
    assert loaded.counts == {"train": 36, "validation": 0, "test": 24}
    assert set(loaded.y_test) == {0, 2}
    assert said == ["60 images of 3 classes (daisy, rose, tulip); 24 of them are for the test, as its folders say"]
    shutil.rmtree(tmp_path / "split" / "test")
    with pytest.raises(UserError, match="has only one of train/ and test/"):
        packed(tmp_path / "split", tmp_path / "other.npz")


def test_without_subfolders_there_are_no_labels(flowers, tmp_path):
    (tmp_path / "flat").mkdir()
    for path in flowers.glob("*/*"):
        shutil.copy(path, tmp_path / "flat")
    loaded, said = packed(tmp_path / "flat", tmp_path / "out.npz")
    assert loaded.y_train is None
    assert "36 images without classes; 10 of them are for the test, drawn by a fixed seed" in said
    shutil.copytree(flowers / "rose", tmp_path / "flat" / "rose")
    with pytest.raises(UserError, match=r"00\.png: lies beside folders of classes"):
        packed(tmp_path / "flat", tmp_path / "other.npz")


def test_what_is_no_image_is_ignored_and_what_cannot_be_read_is_named(flowers, tmp_path):
    (flowers / "rose" / "._01.png").write_bytes(b"hidden")
    (flowers / "rose" / "notes.txt").write_text("no image")
    (flowers / "__MACOSX").mkdir()
    assert len(every(data.load(str(flowers), 0))) == 36
    (flowers / "rose" / "broken.png").write_bytes((flowers / "rose" / "01.png").read_bytes()[:60])
    (flowers / "tulip" / "page.JPG").write_text("<html>not found</html>")
    loaded, said = packed(flowers, tmp_path / "out.npz")
    assert len(every(loaded)) == 36
    (line,) = (line for line in said if line.startswith("left out: 2 of 38 files cannot be read: "))
    assert "rose/broken.png (" in line
    assert "tulip/page.JPG (" in line
    with pytest.raises(
        UserError, match=r"2 of 38 files .*run `latent-report data pack '.*my flowers' 'my flowers.npz'`$"
    ):
        data.load(str(flowers))


def test_images_of_several_sizes_need_one(flowers, tmp_path):
    Image.new("RGB", (20, 10), "red").save(flowers / "tulip" / "wide.png")
    for read in (data.load, data.header, data.fingerprint):
        with pytest.raises(UserError, match=r"tulip/wide.png is 20x10; .* run `latent-report data pack .* --size 32`"):
            read(str(flowers))
    with pytest.raises(UserError, match="expected squares of one size"):
        packed(flowers, tmp_path / "out.npz")
    loaded, _ = packed(flowers, tmp_path / "out.npz", size=16)
    assert loaded.shape == (16, 16, 3)
    assert (every(loaded) == (255, 0, 0)).all(axis=(1, 2, 3)).sum() == 1


def test_an_image_is_upright_its_middle_is_kept_and_transparency_is_white(tmp_path):
    wide = np.zeros((8, 12, 3), np.uint8)
    wide[:, 2:10], wide[:, 2:6] = (0, 255, 0), (255, 0, 0)  # the middle is red on the left, green on the right
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    Image.fromarray(wide).save(tmp_path / "turned.png", exif=exif)
    clear = np.zeros((8, 8, 4), np.uint8)
    clear[:4, :, 3] = 255
    Image.fromarray(clear).save(tmp_path / "clear.png")
    deep = (np.arange(64, dtype=np.uint16) * 1000).reshape(8, 8)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    turned, cleared, deep_read = (packing._opened(tmp_path / f"{name}.png", 8) for name in ("turned", "clear", "deep"))
    assert (turned[:4] == (255, 0, 0)).all()
    assert (turned[4:] == (0, 255, 0)).all()
    assert (cleared[:4] == 0).all()
    assert (cleared[4:] == 255).all()
    np.testing.assert_array_equal(deep_read[..., 0], deep >> 8)


def test_grey_images_saved_as_colour_become_grey_and_colours_on_demand(flowers, tmp_path, settings):
    with pytest.raises(
        UserError, match=r"expects grey .*; run `latent-report data pack .* 'my flowers-grey.npz' --grey`"
    ):
        check_images(settings("vae_mnist", dataset=str(flowers)), *data.header(str(flowers)), "here")
    loaded, said = packed(flowers, tmp_path / "out.npz", grey=True)
    assert loaded.shape == (8, 8, 1)
    assert said[-1] == "colours became grey"
    for path in flowers.glob("*/*"):
        Image.open(path).convert("L").convert("RGB").save(path)
    assert same(every(data.load(str(flowers), 0)), every(loaded))
    assert packed(flowers, tmp_path / "alike.npz")[1][-1] == "the three channels are alike: stored as grey"


def test_a_folder_that_is_none_or_empty(tmp_path):
    with pytest.raises(UserError, match="is no folder; expected a folder of images"):
        data.load(str(tmp_path / "gone"))
    (tmp_path / "empty").mkdir()
    for read in (data.load, data.header):
        with pytest.raises(UserError, match="0 images, expected at least 30"):
            read(str(tmp_path / "empty"))


def test_nothing_is_replaced_and_nothing_is_left_where_it_fails(flowers, tmp_path):
    out = tmp_path / "folder" / "out.npz"
    out.parent.mkdir()
    out.write_text("mine")
    with pytest.raises(UserError, match="is there already, and is not replaced"):
        packed(flowers, out)
    assert out.read_text() == "mine"
    for path in flowers.glob("*/*"):
        shutil.copy(flowers / "daisy" / "00.png", path) if path.name != "00.png" else None
    with pytest.raises(UserError, match=r"other\.npz: x_train is the same image 26 times"):
        packed(flowers, out.with_name("other.npz"))
    with pytest.raises(UserError, match="cannot be written"):
        packed(flowers, tmp_path / "nowhere" / "out.npz")
    with pytest.raises(UserError, match=r"ends in \.npz"):
        packed(flowers, tmp_path / "out.zip")
    assert [path.name for path in out.parent.iterdir()] == ["out.npz"]


def test_the_command_packs_and_verifies(flowers, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["data", "pack", "my flowers", "flowers.npz", "--size", "12", "--grey"]) == 0
    assert "flowers.npz: good; 26 training and 10 test images 12x12x1" in capsys.readouterr().out
    for wrong in (["pack", "my flowers"], ["verify", "flowers.npz", "other.npz"]):
        assert main(["data", *wrong]) == 2
        assert "expected `data pack PATH OUT.npz`" in capsys.readouterr().err


# --- an .npz file ---


@pytest.mark.parametrize("case", [case for case in CONVERTED if "objects" not in case])
def test_pack_converts_what_the_messages_name_and_says_so(case, tmp_path):
    right = arrays(channels=3 if case in COLOURED else 1, side=6)
    touched, spoil = CONVERTED[case]
    np.savez(tmp_path / "own.npz", **changed(right, touched, spoil))
    with pytest.raises(UserError, match=r", or run `latent-report data pack .*own\.npz own-fit\.npz`$"):
        data.load(str(tmp_path / "own.npz"))
    loaded, said = packed(tmp_path / "own.npz", tmp_path / "own-fit.npz")
    assert said
    for name in IMAGES:
        expected = right[name].reshape(-1, *loaded.shape)
        if case in ("booleans", "bytes 0 and 1"):
            expected = np.where(expected > 127, 255, 0)
        loss = {"integers from 0 to 15": 16, "12 bits": 1, "floats, standardised": 1, "half precision": 1}.get(case, 0)
        assert np.abs(getattr(loaded, name).astype(int) - expected).max() <= loss, name
    for name in LABELS:
        assert np.array_equal(getattr(loaded, name), right[name] > 4 if case == "boolean labels" else right[name])
    if case.startswith(("names", "bytes as", "labels in a column")):
        assert np.load(tmp_path / "own-fit.npz")["class_names"].tolist() == list("abcdefghij")


def test_several_faults_are_mended_at_once(tmp_path):
    right = arrays(channels=1, side=6)
    grey = changed(right, IMAGES, lambda x: np.stack([x, x, x, x], axis=1) / 255)
    np.savez(tmp_path / "own.npz", **changed(grey, LABELS, lambda y: y + 1))
    loaded, said = packed(tmp_path / "own.npz", tmp_path / "fit.npz", size=12)
    assert loaded.shape == (12, 12, 1)
    assert len(said) == 4
    assert np.array_equal(loaded.y_train, right["y_train"])
    assert said[-2] == "labels are numbered from 0 in the order 1, 2, 3, 4, 5, 6, 7, 8, 9, 10"


def test_what_cannot_be_mended_is_refused_as_before(tmp_path):
    np.savez(tmp_path / "own.npz", **(arrays() | {"x_test": np.array([{"an": "object"}])}))
    with pytest.raises(UserError, match="x_test is object, expected uint8"):
        packed(tmp_path / "own.npz", tmp_path / "fit.npz")
    np.savez(tmp_path / "half.npz", x_train=arrays()["x_train"])
    with pytest.raises(UserError, match="has no array 'x_test'"):
        packed(tmp_path / "half.npz", tmp_path / "fit.npz")
    (tmp_path / "text.npz").write_text("text")
    with pytest.raises(UserError, match=r"is no readable \.npz file"):
        packed(tmp_path / "text.npz", tmp_path / "fit.npz")
    assert not (tmp_path / "fit.npz").exists()


def test_a_study_finds_its_folder_of_images(flowers, study):
    from lib.study import plan

    path = study("notebooks: {vae_cifar10: {runs: [{dataset: ./my flowers/, batch_size: 8}]}}")
    (run,) = plan.read(str(path)).runs
    assert run.settings.dataset == str(flowers)
    assert run.name.endswith("-batch_size8-datasetmy_flowers")
