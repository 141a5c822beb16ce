"""Ten lines of TOML say what is supervised; a wrong one is answered with the file, the key, and what is expected."""

import re
from pathlib import Path

import msgspec
import pytest

from workflows.brought import DeploymentFileError, load_deployment

GOOD = """
name = "pets"
classes = ["cat", "dog"]
[model]
torch = "net.py:build"
weights = "net.safetensors"
input = [3, 64, 64]
[data]
train = "photos/train"
held_out = "photos/held-out"
"""


@pytest.fixture
def read(tmp_path):
    def load(text):
        path = tmp_path / "pets.toml"
        path.write_text(text, encoding="utf-8")
        return load_deployment(path)

    return load


def test_ten_lines_are_enough(read, tmp_path):
    found = read(GOOD)
    assert (found.name, found.classes, found.folder) == ("pets", ("cat", "dog"), str(tmp_path))
    assert (found.model.input, found.model.latent, found.model.mean) == ((3, 64, 64), "auto", None)
    assert msgspec.to_builtins(found.data)["train"] == "photos/train"


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ('name = "pets"', 'name = "My Pets"', "name = 'My Pets'; expected up to 35 small letters, digits and dashes"),
        ('name = "pets"', 'name = "digits"', "name = 'digits' is a data set of the package"),
        ('classes = ["cat", "dog"]', 'classes = ["cat", "cat"]', "two or more different names"),
        ('torch = "net.py:build"', 'torsh = "net.py:build"', r"\[model\] has no key 'torsh'; did you mean 'torch'\?"),
        ('torch = "net.py:build"', "", r"\[model\] has neither torch nor onnx"),
        ('torch = "net.py:build"', 'torch = "a"\nonnx = "b"', r"\[model\] has both torch and onnx"),
        ('torch = "net.py:build"', 'onnx = "b"', "an ONNX file brings its own weights"),
        ("input = [3, 64, 64]", "input = [64, 64, 3]", r"input = \[64, 64, 3\]; expected \[channels, height, width\]"),
        ("input = [3, 64, 64]", "input = 64", r"model.input: Expected `array \| null`, got `int`"),
        ("input = [3, 64, 64]", "", r"\[model\] has neither input nor features"),
        ("input = [3, 64, 64]", 'features = ["a"]', r"\[model\] features are of an ONNX file"),
        ("input = [3, 64, 64]", 'input = [3, 64, 64]\nrefit = "a:b"', r"\[model\] refit is for rows of a table"),
        ("[data]", "[dada]", r"the top level has no key 'dada'; did you mean 'data'\?"),
        ("[data]", "[data", "not valid TOML"),
    ],
)
def test_a_wrong_line_is_named(read, before, after, told):
    with pytest.raises(DeploymentFileError, match=told):
        read(GOOD.replace(before, after))


def test_a_file_that_is_not_there_is_asked_for(tmp_path):
    with pytest.raises(DeploymentFileError, match=r"cannot be read .* give an existing TOML file with --deployment"):
        load_deployment(tmp_path / "none.toml")


def test_the_lines_in_the_readme_are_those_of_the_example():
    root = Path(__file__).parents[2]
    [shown] = re.findall(r"^```toml\n(.*?)^```$", (root / "README.md").read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    example = root / "examples" / "your_model" / "mine.toml"
    assert shown == example.read_text(encoding="utf-8") and load_deployment(example).name == "mine"


def test_every_deployment_file_on_the_page_is_a_sound_one(tmp_path):
    page = Path(__file__).parents[2] / "docs" / "your-model.md"
    shown = re.findall(r"^```toml\n(.*?)^```$", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    for number, text in enumerate(shown):
        (tmp_path / f"{number}.toml").write_text(text, encoding="utf-8")
    assert [load_deployment(tmp_path / f"{number}.toml").name for number in range(len(shown))] == ["pets", "pump"]
