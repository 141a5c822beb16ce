"""What a registered pipeline says of itself in MLflow's own terms: the shapes that it takes and gives, and its reference."""

from pathlib import Path

from models.pipeline import MANIFEST, Manifest, PipelineError

MLMODEL = "MLmodel"


def manifest_of(folder: Path) -> Manifest | None:
    """What a pipeline folder says of itself; None for any other folder."""
    try:
        return Manifest.parse((folder / MANIFEST).read_bytes())
    except (OSError, PipelineError):
        return None


def mlmodel(manifest: Manifest, run_id: str) -> str:
    """The text of the file `MLmodel`, from which MLflow shows a version's signature: images float32 [n, ...] in [0, 1] to logits [n, k]."""
    import numpy as np
    from workflows.tracking.door import Model, ModelSignature
    from workflows.tracking.door import Schema, TensorSpec

    images = TensorSpec(np.dtype(np.float32), (-1, *manifest.input), "images")
    logits = TensorSpec(np.dtype(np.float32), (-1, len(manifest.classes)), "logits")
    model = Model(run_id=run_id, signature=ModelSignature(Schema([images]), Schema([logits])))
    model.add_flavor("scanflow", pipeline=manifest.name, classifier=manifest.classifier, reference=manifest.reference)
    return str(model.to_yaml())


def tags_of(manifest: Manifest) -> dict[str, str]:
    """What is searched for among versions: the pipeline, and which reference tells it what clean data looks like."""
    return {"pipeline": manifest.name, "reference": manifest.reference, "reference_digest": manifest.files[manifest.reference]}
