"""The record of runs, model versions and what was live when, kept in MLflow: only `workflows.tracking.door` imports it.

The ledger is the truth about decisions; this is the place where a person looks up the numbers and files behind them, with
MLflow's own tools. `Tracking` is what the rest of the project knows; `MlflowTracking` and its twin `MemoryTracking` pass the same
contract tests. MLflow is imported, and its database opened, at the first call and not before: that takes seconds, so one process (the
cluster's) tracks for all, and the tasks that prepare remedies hand back their numbers and folders instead of logging them.

MLflow keeps which version carries an alias *now*, but no history of it. So each change of what is live is a run of its own in the
experiment `live NAME`, and `live_history` reads them back.
"""

from workflows.tracking.contract import LIVE, LiveChange, Tracking, TrackingError
from workflows.tracking.entries import DataSet, ModelEntry, RunEntry
from workflows.tracking.memory import MemoryTracking
from workflows.tracking.store import MlflowTracking

__all__ = ["LIVE", "DataSet", "LiveChange", "MemoryTracking", "MlflowTracking", "ModelEntry", "RunEntry", "Tracking", "TrackingError"]
