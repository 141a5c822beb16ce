"""An ONNX file speaks the contract without its torch source, and everybody is told what it cannot have."""

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from agents import subject
from models.export import load_modules, save_pipeline
from models.networks.brought import BroughtError
from models.networks.onnx_classifier import speak
from models.pipeline import Pipeline
from models.remedies.possible import impossible
from models.training import make_reference
from scenarios.brought import Brought
from scenarios.datasets import to_float
from tests.brought.conftest import squares
from workflows.brought import DeploymentFile, Model

SHAPE = (3, 12, 12)


def exported(module: nn.Module, path, shape=SHAPE, opset=17, *, fixed=False) -> onnx.ModelProto:
    axes = None if fixed else {"x": {0: "b"}, "y": {0: "b"}}
    torch.onnx.export(
        module.eval(), (torch.rand(1, *shape),), str(path), input_names=["x"], output_names=["y"], opset_version=opset, dynamo=False, dynamic_axes=axes,
    )
    return onnx.load(path)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("opset", [13, 20])
def test_it_answers_as_before_and_its_latents_go_into_the_last_product(network, tmp_path, opset):
    classifier, latent, probabilities = speak(exported(network, tmp_path / "m.onnx", opset=opset), SHAPE, 4)
    images = torch.rand(5, *SHAPE)
    torch.testing.assert_close(classifier(images).logits, network(images), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(classifier(images).latent, network[:6](images), rtol=1e-4, atol=1e-5)
    assert (latent.width, latent.side, probabilities) == (12, "input", False)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_normalisation_probabilities_and_a_named_value(network, tmp_path):
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.2, 0.1)
    model = exported(nn.Sequential(network, nn.Softmax(1)), tmp_path / "m.onnx")
    value = next(node.output[0] for node in model.graph.node if node.op_type == "Relu")
    classifier, latent, probabilities = speak(model, SHAPE, 4, mean=mean, std=std, latent=value)
    images = torch.rand(3, *SHAPE)
    wanted = (images - torch.tensor(mean).view(1, 3, 1, 1)) / torch.tensor(std).view(1, 3, 1, 1)
    torch.testing.assert_close(classifier(images).logits.softmax(1), network(wanted).softmax(1), rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(classifier(images).latent, network[:2](wanted).mean((2, 3)), rtol=1e-3, atol=1e-5)
    assert probabilities and latent.layer == value


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_graph_that_takes_channels_last_gets_them_so(network, tmp_path):
    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = network

        def forward(self, images):
            return self.inner(images.permute(0, 3, 1, 2))

    images = torch.rand(3, 3, 16, 12)
    classifier, _, _ = speak(exported(Last(), tmp_path / "m.onnx", shape=(16, 12, 3)), (3, 16, 12), 4)
    torch.testing.assert_close(classifier(images).logits, network(images), rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (dict(classes=7), r"for 3 images the graph answers \{'y': \[3, 4\]\}; expected an output with a value for each of 7 classes"),
        (dict(shape=(1, 12, 12)), r"the graph takes \[None, 3, 12, 12\] and \[model\] input is \[1, 12, 12\]"),
        (dict(latent="hidden"), "the graph has no value 'hidden'; its last ones are"),
    ],
)
def test_what_does_not_fit_is_said_in_one_sentence(network, tmp_path, wrong, told):
    with pytest.raises(BroughtError, match=told):
        speak(exported(network, tmp_path / "m.onnx"), **(dict(shape=SHAPE, classes=4) | wrong))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_batch_that_is_fixed_inside_of_the_graph_is_refused(tmp_path):
    class Fixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.out = nn.Linear(432, 4)

        def forward(self, images):
            return self.out(images.reshape(1, 432))

    with pytest.raises(BroughtError, match="must be exported anew, with a batch of any size"):
        speak(exported(Fixed(), tmp_path / "m.onnx", fixed=True), SHAPE, 4)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_its_pipeline_has_no_weights_beside_it_and_comes_back_as_what_it_is(network, tmp_path):
    classifier, _, _ = speak(exported(network, tmp_path / "m.onnx"), SHAPE, 4)
    folder = tmp_path / "pipeline"
    reference = make_reference(classifier, squares(40, 0), squares(30, 1))
    save_pipeline(folder, classifier, reference=reference, name="mine", version="mine", classes=("a", "b", "c", "d"))
    images = to_float(squares(5, 2)[0])
    np.testing.assert_allclose(Pipeline.load(folder).run(images).logits, network(torch.tensor(images)).detach().numpy(), rtol=1e-4, atol=1e-5)
    back = load_modules(folder).classifier
    assert not list(folder.glob("*.safetensors")) and not back.differentiable and back.shape == SHAPE
    assert {"filter", "fine_tune", "retrain", "recalibrate", "simulate", "transfer", "refit", "harden", "reweight"} == impossible(back).keys()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_weights_that_an_onnx_file_keeps_beside_it_count_as_the_model(network, tmp_path):
    exported(network, tmp_path / "small.onnx")
    graph = onnx.load(tmp_path / "small.onnx")
    onnx.save_model(graph, tmp_path / "m.onnx", save_as_external_data=True, location="m.data", size_threshold=0)
    assert subject._external(tmp_path / "m.onnx") == [tmp_path / "m.data"]
    wanted = DeploymentFile(name="mine", model=Model(onnx="m.onnx", input=SHAPE), data=Brought(), folder=str(tmp_path))
    before = subject._digest(wanted)
    (tmp_path / "m.data").write_bytes((tmp_path / "m.data").read_bytes()[::-1])
    assert subject._digest(wanted) != before
