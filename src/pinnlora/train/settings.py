"""Settings of one training stage, and of all stages together. Free of torch, quick to import.

A stage may carry `ranks: {4: {steps: 80}}`: what stands there replaces the stage's own value for that rank.
"""

from typing import Annotated, Literal, Self, get_args

from pydantic import Field, model_validator

from pinnlora.train.kinds import Count, Integer, PartOf, Positive, PositiveReal, Rank, Real, Start, Strict

Mode = Literal["data", "weights", "distilled", "physics"]
MODES: tuple[Mode, ...] = get_args(Mode)
Method = Literal["pinn", "finetuned", "lora"]
PER_TASK: tuple[Method, ...] = get_args(Method)
FROM_TEACHERS: tuple[Mode, ...] = ("weights", "distilled")


class StageSettings(Strict):
    """How one stage is trained; config/README.md says what each key means."""

    optimiser: Literal["adam", "adam+lbfgs", "soap", "levenberg_marquardt", "gauss_newton", "auto"] = "adam"
    dtype: Literal["float32", "float64"] = "float32"
    steps: Positive = 1000
    seconds: Annotated[Real, Field(ge=0)] = 0.0
    lbfgs_steps: Count = 0
    learning_rate: PositiveReal = 1e-3
    clip: Annotated[Real, Field(ge=0)] = 0.0
    normalise: Annotated[Real, Field(ge=0, le=1)] = 0.0
    average: Annotated[Real, Field(ge=0, lt=1)] = 0.0
    schedule: Literal["cosine", "steps", "constant"] = "cosine"
    decay_start: Count = 10000
    decay_every: Positive = 5000
    decay_factor: Annotated[Real, Field(gt=0, le=1)] = 0.1
    final_rate: PositiveReal = 1e-7
    patience: Count = 0
    points: Positive = 1000
    condition_points: Positive | dict[str, Positive] = 100
    condition_weight: PositiveReal = 1.0
    balance: bool = False
    resample: Count = 1
    adaptive: bool = False
    points_on: Literal["domain", "grid"] = "domain"
    residual_weight: bool = True
    causal: Annotated[Real, Field(ge=0)] = 0.0
    derivatives: Literal["exact", "random", "stein"] = "exact"
    directions: Positive = 16
    direction_kind: Literal["rademacher", "gaussian", "axes"] = "rademacher"
    unbiased: bool = False
    horizon: Literal["none", "auto"] = "none"
    tasks_per_step: Positive = 20
    fresh_tasks: bool = True
    margin: Annotated[Real, Field(ge=0, le=1)] = 0.07
    rows: Positive = 4000
    damping: PositiveReal = 1e-2
    damping_floor: Annotated[Real, Field(ge=0)] = 0.0
    momentum: Annotated[Real, Field(ge=0, lt=1)] = 0.0
    relaxation: Annotated[Real, Field(gt=0, le=1)] = 1.0
    jacobian: PositiveReal = 1000.0
    continuation: dict[str, Start] = Field(default_factory=dict)
    continuation_steps: Count = 0
    chain: bool = False
    report_every: Positive = 50

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.optimiser == "adam+lbfgs") != (self.lbfgs_steps > 0):
            raise ValueError(
                f"optimiser {self.optimiser} with lbfgs_steps {self.lbfgs_steps}: L-BFGS runs with "
                "optimiser: adam+lbfgs and lbfgs_steps above 0, or not at all"
            )
        for key in ("clip", "normalise", "average"):
            if getattr(self, key) and self.optimiser not in ("adam", "soap", "auto"):
                raise ValueError(f"{key} is for optimiser: adam or soap, not {self.optimiser}: leave it out")
        if self.derivatives != "exact" and self.optimiser not in ("adam", "soap", "auto"):
            raise ValueError(
                f"derivatives: {self.derivatives} is for optimiser: adam or soap; {self.optimiser} needs exact ones"
            )
        if self.unbiased and self.derivatives != "random":
            raise ValueError(f"unbiased: true is for derivatives: random, not {self.derivatives}")
        if bool(self.continuation) != (self.continuation_steps > 0):
            raise ValueError("continuation and continuation_steps go together, give both or none")
        if self.chain and self.continuation:
            raise ValueError(
                "continuation with chain: true: tasks walk from their neighbours, give one of them"
            )
        if self.points_on == "grid" or not self.resample:
            for key, wanted in (("adaptive: true", self.adaptive), ("horizon: auto", self.horizon == "auto")):
                if wanted:
                    raise ValueError(
                        f"{key} draws new points in the domain: set resample above 0 and points_on: domain"
                    )
        return self


class NewStage(StageSettings):
    """A stage that is trained now, of which more is asked than of one that was."""

    @model_validator(mode="after")
    def _comes_to_its_end(self) -> Self:
        own = self.steps - self.continuation_steps
        if self.continuation and own < (0 if self.lbfgs_steps else 1) and not self.seconds:
            raise ValueError(
                f"continuation_steps {self.continuation_steps} of {self.steps} steps: none are left for the tasks "
                "themselves"
            )
        if self.seconds and (self.chain or self.lbfgs_steps):
            which = "chain: true" if self.chain else "optimiser: adam+lbfgs"
            raise ValueError(f"{which} has no budget of seconds: give steps")
        return self


class PerTaskStage(NewStage):
    """A stage that trains networks of single tasks."""

    optimiser: Literal["adam", "adam+lbfgs", "levenberg_marquardt", "auto"] = "adam"

    @model_validator(mode="after")
    def _tasks_alone(self) -> Self:
        if self.clip or self.normalise or self.average:
            raise ValueError(
                "clip, normalise and average are for hypernetworks, whose tasks share one gradient"
            )
        return self


class HypernetworkStage(NewStage):
    """A stage that trains a hypernetwork on residuals or on solutions; its points are fixed, or new at every step."""

    optimiser: Literal["adam", "soap", "gauss_newton", "auto"] = "adam"
    resample: Annotated[Integer, Field(ge=0, le=1)] = 1


class WeightsStage(HypernetworkStage):
    """The stage that regresses weights."""

    optimiser: Literal["adam", "soap"] = "adam"


class RankedPerTask(PerTaskStage):
    """The stage together with its exceptions for single ranks."""

    ranks: dict[Rank, Annotated[Strict, PartOf(PerTaskStage)]] = {}


class RankedHypernetwork(HypernetworkStage):
    """The stage together with its exceptions for single ranks."""

    ranks: dict[Rank, Annotated[Strict, PartOf(HypernetworkStage)]] = {}


class RankedWeights(WeightsStage):
    """The stage together with its exceptions for single ranks."""

    ranks: dict[Rank, Annotated[Strict, PartOf(WeightsStage)]] = {}


class Training(Strict):
    """One entry a stage."""

    base: RankedPerTask = RankedPerTask()
    pinn: RankedPerTask = RankedPerTask()
    finetuned: RankedPerTask = RankedPerTask()
    lora: RankedPerTask = RankedPerTask()
    teachers: RankedPerTask = RankedPerTask()
    data: RankedHypernetwork = RankedHypernetwork()
    weights: RankedWeights = RankedWeights()
    distilled: RankedHypernetwork = RankedHypernetwork()
    physics: RankedHypernetwork = RankedHypernetwork()


class NetworkSettings(Strict):
    """The tanh network. Its maps are numbered from 0, the input's, to `hidden_layers`, the output's."""

    width: Positive = 64
    hidden_layers: Positive = 6
    unadapted: tuple[Count, ...] = (1,)
    input_map: Literal["identity", "periodic"] = "identity"
    modes: Positive = 1
    formulation: str = "default"
    symmetry: bool = False
    lift: bool = False
    conditions: Literal["soft", "hard", "auto"] = "auto"
    smoothing: Annotated[Real, Field(ge=0)] = 0.0

    @model_validator(mode="after")
    def _maps_exist(self) -> Self:
        for index in self.unadapted:
            if index > self.hidden_layers:
                raise ValueError(
                    f"unadapted: there is no map {index}; "
                    f"{self.hidden_layers} hidden layers have maps 0 to {self.hidden_layers}"
                )
        return self


class HypernetworkSettings(Strict):
    """The network from a task to weights."""

    body: Annotated[tuple[Positive, ...], Field(min_length=1)] = (512, 512, 256, 256, 128, 128)
    activation: Literal["tanh", "silu", "relu"] = "silu"
    embedding: Literal["default", "raw"] = "default"
    largest_rank: Positive = 8
    tolerance: Annotated[Real, Field(gt=0, lt=1)] = 0.001
