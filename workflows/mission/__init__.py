"""The workflows of a model's life, as graphs: train, inference, fine-tune or retrain, fit a filter.

    python -m workflows run workflows/mission/train.toml --param dataset=digits
    python -m workflows run workflows/mission/inference.toml --input inputs.pipeline=FOLDER
    python -m workflows run workflows/mission/fine_tune.toml --runner container
    python -m workflows run workflows/mission/fit_filter.toml

The agents prepare remedies by the same programs, `workflows.steps`, as jobs; these graphs are for people, schedules and other machines.
"""
