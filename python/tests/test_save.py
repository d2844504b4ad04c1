"""Arrays in files: by the package, and by `quipu export`."""

import os
import zipfile

import numpy as np
import pytest
from conftest import MODEL, PROMPT
from safetensors.numpy import load_file

import quipu


def test_npz_holds_what_the_trace_holds(trace, tmp_path):
    path = tmp_path / "x.npz"
    names = trace.save(path)
    with np.load(path) as arrays:
        assert names == list(arrays) == trace.names()
        for name in names:
            assert arrays[name].dtype == np.float32
            np.testing.assert_array_equal(arrays[name], trace[name])


@pytest.mark.parametrize("names", [("kq_soft_max-*", "l_out-3"), ("norm-*#0",), ("Qcur-1", "Qcur-1 (view) (permuted)")])
def test_export_is_save(trace, tmp_path, names):
    """The program and the package write the same arrays under the same names, in the same order."""
    document = quipu.export(trace, *names, output=tmp_path / "program.npz")
    saved = trace.save(tmp_path / "package.npz", *names)
    with np.load(tmp_path / "program.npz") as program, np.load(tmp_path / "package.npz") as package:
        assert list(program) == list(package) == saved == [array["name"] for array in document["arrays"]]
        for array in document["arrays"]:
            name = array["name"]
            assert program[name].dtype == np.dtype(array["dtype"]) and list(program[name].shape) == array["shape"]
            np.testing.assert_array_equal(program[name], package[name])
            np.testing.assert_array_equal(program[name], quipu.open(trace)[name])
            assert array["missing"] == int(np.isnan(program[name]).sum())
    assert document["size_bytes"] == os.path.getsize(tmp_path / "program.npz")


def test_every_tensor_and_step_exported_is_what_the_trace_holds(trace, tmp_path):
    path = tmp_path / "all.npz"
    document = quipu.export(trace, "*", output=path, step=":")
    assert trace.save(tmp_path / "package.npz", step=None) == [array["name"] for array in document["arrays"]]
    with np.load(path) as arrays:
        assert len(arrays) == 4 * 94
        for name in arrays:
            step, address = name.split("/")
            np.testing.assert_array_equal(arrays[name], trace.values(address, int(step[4:])))
    # And for programs that check more than NumPy does.
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert {one.compress_type for one in archive.infolist()} == {zipfile.ZIP_STORED}
        assert archive.infolist()[0].date_time == (1980, 1, 1, 0, 0, 0)


def test_partial_captures_are_exported_with_gaps(tmp_path):
    with quipu.trace(MODEL, PROMPT, capture="last") as trace:
        document = quipu.export(trace, "kq_soft_max-1", output=tmp_path / "x.npy")
        found = np.load(tmp_path / "x.npy")
        np.testing.assert_array_equal(found, trace["kq_soft_max-1"])
        assert found.shape == (8, 18, 18) and document["arrays"][0]["missing"] == 8 * 17 * 18 == np.isnan(found).sum()


def test_one_array(trace, tmp_path):
    assert trace.save(tmp_path / "x.npy", "kq-1", step=2) == ["kq-1"]
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), trace["kq-1", 2])
    quipu.export(trace, "kq-1", output=tmp_path / "y.npy", step=2)
    assert (tmp_path / "y.npy").read_bytes() == (tmp_path / "x.npy").read_bytes()
    with pytest.raises(quipu.QuipuError, match="holds one array, the names fit 4"):
        trace.save(tmp_path / "z.npy", "kq-*")
    with pytest.raises(quipu.ProgramError, match="holds one array, and the names fit 4"):
        quipu.export(trace, "kq-*", output=tmp_path / "z.npy")


def test_safetensors(trace, tmp_path):
    names = trace.save(tmp_path / "x.safetensors", "kq*", "l_out-1")
    arrays = load_file(tmp_path / "x.safetensors")
    assert set(arrays) == set(names)
    for name in names:
        np.testing.assert_array_equal(arrays[name], trace[name])


def test_without_safetensors(trace, tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    with pytest.raises(quipu.Missing, match="needs safetensors, which is not installed: pip install safetensors"):
        trace.save(tmp_path / "x.safetensors")
    assert os.listdir(tmp_path) == []


def test_nothing_is_overwritten_or_left_half(trace, tmp_path):
    path = tmp_path / "x.npz"
    path.write_bytes(b"mine")
    for write in (lambda: trace.save(path, "kq-1"), lambda: quipu.export(trace, "kq-1", output=path)):
        with pytest.raises((FileExistsError, quipu.ProgramError), match="exists already"):
            write()
    # The program replaces files of arrays only.
    with pytest.raises(quipu.ProgramError, match="something else than a file of arrays"):
        quipu.export(trace, "kq-1", output=path, force=True)
    assert path.read_bytes() == b"mine" and os.listdir(tmp_path) == ["x.npz"]
    trace.save(path, "kq-1", overwrite=True)
    quipu.export(trace, "kq-2", output=path, force=True)
    with np.load(path) as arrays:
        assert list(arrays) == ["kq-2"]
    before = path.read_bytes()
    for write in (
        lambda: trace.save(path, "kq-*", "nothing", overwrite=True),
        lambda: quipu.export(trace, "kq-*", "nothing", output=path, force=True),
        lambda: trace.save(path, "cache_v_l0 (reshaped)#0", overwrite=True),
        lambda: quipu.export(trace, "kq-1", "cache_v_l0 (reshaped)#0", output=path, force=True),
    ):
        with pytest.raises(quipu.QuipuError):
            write()
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["x.npz"]


@pytest.mark.parametrize(
    ("names", "part"),
    [
        (("kqq-*",), "no operation|fits no operation"),
        (("Qcur-? (view)",), "no values of their own"),
        (("kq-9",), "there is no operation"),
        (("norm-1#5",), "2 times"),
        (("kq-1[0]",), "index the array"),
    ],
)
def test_names_that_fit_nothing(trace, tmp_path, names, part):
    with pytest.raises(quipu.NotInTrace, match=part):
        trace.save(tmp_path / "x.npz", *names)
    with pytest.raises(quipu.ProgramError, match=part.replace("2 times", "occurs 2 times")) as caught:
        quipu.export(trace, *names, output=tmp_path / "x.npz")
    assert caught.value.status == 1
    assert os.listdir(tmp_path) == []


def test_paths_that_cannot_be(trace, tmp_path):
    for path, part in [
        ("x.txt", "found (the|another) ending"),
        ("no/x.npz", "no folder|No such file"),
        (".npz", "ending"),
    ]:
        with pytest.raises((quipu.QuipuError, OSError), match=part):
            trace.save(tmp_path / path, "kq-1")
        with pytest.raises(quipu.ProgramError, match=part):
            quipu.export(trace, "kq-1", output=tmp_path / path)
    (tmp_path / "folder.npz").mkdir()
    with pytest.raises(IsADirectoryError):
        trace.save(tmp_path / "folder.npz", overwrite=True)
    with pytest.raises(quipu.ProgramError):
        quipu.export(trace, "kq-1", output=tmp_path / "folder.npz", force=True)


def test_names_of_strangers_do_not_leave_the_archive(changed, tmp_path):
    path = changed(
        "UPDATE graph_op SET name = '../../kq-1' WHERE name = 'kq-1'",
        "UPDATE graph_op SET name = 'kq/x' WHERE name = 'kq-2'",
    )
    with quipu.open(path) as trace:
        assert trace["../../kq-1"].shape == (8, 18, 18)
        for names in (("*kq-1",), ("../../kq-1",), ("kq*",)):
            with pytest.raises(quipu.QuipuError, match="no file"):
                trace.save(tmp_path / "x.npz", *names)
            with pytest.raises(quipu.ProgramError, match="no file"):
                quipu.export(path, *names, output=tmp_path / "x.npz")
    assert not (tmp_path / "x.npz").exists()
