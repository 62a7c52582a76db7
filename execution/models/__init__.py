"""The rows of execution, by noun; import them from here."""

from execution.models.agent import RunAgent
from execution.models.batch import BatchedQuestion, MessageBatch
from execution.models.blob import Blob
from execution.models.budget import OwnerBudget
from execution.models.effect import Attempt, Effect, Handler, WorkerLease
from execution.models.entity import Entity
from execution.models.journal import Checkpoint, Event, Snapshot, Tick, Timer
from execution.models.run import Run
from execution.models.trial import ArmRun, ShadowShare, Trial, TrialInput, TrialLook, TrialPair, VerificationReport

__all__ = [
    "ArmRun",
    "Attempt",
    "BatchedQuestion",
    "Blob",
    "Checkpoint",
    "Effect",
    "Entity",
    "Event",
    "Handler",
    "MessageBatch",
    "OwnerBudget",
    "Run",
    "RunAgent",
    "ShadowShare",
    "Snapshot",
    "Tick",
    "Timer",
    "Trial",
    "TrialInput",
    "TrialLook",
    "TrialPair",
    "VerificationReport",
    "WorkerLease",
]
