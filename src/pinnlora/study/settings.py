"""The study's settings, typed: an unknown key or a bad value is one clear line. No torch, quick to import.

Every key is described in config/README.md.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import Field, PlainValidator, PrivateAttr, ValidationError, model_validator

from pinnlora.errors import UserError, did_you_mean
from pinnlora.problem.load import Spec, has_reference, known_problem, package_problems, problem_name
from pinnlora.study.settings_errors import lines
from pinnlora.train.kinds import AdapterRank, Count, PartOf, Positive, PositiveReal, Rank, Strict
from pinnlora.train.settings import (
    FROM_TEACHERS,
    MODES,
    PER_TASK,
    HypernetworkSettings,
    Method,
    Mode,
    NetworkSettings,
    StageSettings,
    Training,
)

REFERENCES = ("auto", "none", "refined")


class Tasks(Strict):
    """How many tasks each split holds."""

    train: Positive = 20
    validation: Positive = 20
    test: Positive = 20


class Evaluation(Strict):
    """What evaluation adds to the errors."""

    figure_rank: Rank = 4
    refine_steps: Count = 10
    refine_points: Positive = 300


def _reference(value: Any) -> str:
    if isinstance(value, str) and value in REFERENCES:
        return value
    if not isinstance(value, str) or Path(value).suffix not in (".nc", ".nc4"):
        raise ValueError(f"{value!r} is not one of {', '.join(REFERENCES)}, nor a FILE.nc")
    if not Path(value).is_file():
        raise ValueError(f"no file {value}")
    return value


class Overridable(Strict):
    """What a problem may have otherwise than the study."""

    reference: Annotated[str, PlainValidator(_reference)] = "auto"
    methods: tuple[Method, ...] = PER_TASK
    lora_ranks: tuple[AdapterRank, ...] = (1, 2, 4, 8, 16, 32, 64)
    hypernetwork_ranks: tuple[Rank, ...] = (1, 2, 4, 8, "full")
    hypernetwork_seeds: Positive = 1
    modes: tuple[Mode, ...] = MODES
    tasks: Tasks = Tasks()
    network: NetworkSettings = NetworkSettings()
    hypernetwork: HypernetworkSettings = HypernetworkSettings()
    evaluation: Evaluation = Evaluation()
    training: Training = Training()

    @model_validator(mode="after")
    def _once(self) -> Self:
        for key in ("methods", "lora_ranks", "hypernetwork_ranks", "modes", "problems"):
            values = getattr(self, key, ())
            values = [problem_name(spec) for spec in values] if key == "problems" else values
            twice = sorted({str(value) for value in values if values.count(value) > 1})
            if twice:
                raise ValueError(f"{key}: {', '.join(twice)} stands there twice")
        return self


class ProblemSettings(Overridable):
    """One problem's settings, its overrides merged in. `spec` is as in the study, `name` its directory."""

    spec: str
    name: str
    seed: int

    def stage(self, stage: str, rank: int | str | None = None) -> StageSettings:
        """The settings of a stage; those under its `ranks` have the last word."""
        ranked = getattr(self.training, stage)
        exceptions = ranked.ranks[rank].model_dump(exclude_unset=True) if rank in ranked.ranks else {}
        return type(ranked).__bases__[0](**_merge(ranked.model_dump(exclude={"ranks"}), exceptions))

    def fits(self) -> list[tuple[str, int | str]]:
        """(method, rank) of the fits of single tasks."""
        ranks = {"lora": self.lora_ranks}
        return [(method, rank) for method in self.methods for rank in ranks.get(method, ("full",))]

    def surrogates(self) -> list[tuple[str, int | str]]:
        """(mode, rank) of the hypernetworks; those that learn from teachers have their ranks, and find none."""
        every = [(mode, rank) for mode in self.modes for rank in self.hypernetwork_ranks]
        return [(mode, rank) for mode, rank in every if rank != "auto" or mode not in FROM_TEACHERS]

    def other_seeds(self) -> range:
        """The seeds that each hypernetwork is trained with again, after the study's own."""
        return range(self.seed + 1, self.seed + self.hypernetwork_seeds)


Problem = Annotated[str, PlainValidator(known_problem)]


class Settings(Overridable):
    """A study."""

    study: Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w.-]*$")] = "default"
    results: Annotated[str, Field(min_length=1, pattern="^[^~]")] = "results"
    seed: Count = 2023
    device: Literal["auto", "cpu", "cuda"] = "auto"
    checkpoint_minutes: PositiveReal = 5.0
    problems: Annotated[tuple[Problem, ...], Field(min_length=1)] = ("kovasznay", "burgers2d", "burgers1d")
    overrides: dict[str, Annotated[Strict, PartOf(Overridable)]] = Field(default_factory=dict)
    _problems: dict[str, ProblemSettings] = PrivateAttr(default_factory=dict)

    def problem(self, name: str) -> ProblemSettings:
        """Settings of a problem of this study, by its directory's name or as it stands under `problems`.

        Raises UserError where the study has no such problem.
        """
        try:
            return self._problems[problem_name(name)]
        except KeyError:
            near = did_you_mean(name, list(self._problems))
            raise UserError(f"no problem {name!r} in this study{near}") from None


def load_settings(*sources: Mapping | str | Path) -> Settings:
    """Settings from mappings and YAML files, later ones over earlier ones; UserError with a line for each mistake."""
    merged: dict = {}
    for source in sources:
        merged = _merge(merged, source if isinstance(source, Mapping) else read_config(Path(source)))
    try:
        settings = Settings.model_validate(merged)
    except ValidationError as error:
        raise UserError("\n".join(f"config: {line}" for line in lines(error, Settings))) from None
    wrong = list(_resolve(settings))
    if wrong:
        raise UserError("\n".join(f"config: {line}" for line in dict.fromkeys(wrong)))
    return settings


def load_study(*sources: Mapping | str | Path) -> Settings:
    """As `load_settings`, for a study that will be run: UserError also where `data` has nothing to learn from."""
    settings = load_settings(*sources)
    for spec in settings.problems:
        problem = settings.problem(spec)
        for _, rank in (*problem.fits(), *problem.surrogates()):
            check_rank(rank, problem)
        own = problem.reference == "auto" and has_reference(spec)
        if "data" in problem.modes and problem.reference in REFERENCES and not own:
            given = f"reference: {problem.reference}"
            why = "neither exact() nor reference()" if problem.reference == "auto" else given
            raise UserError(
                f"config: modes: data learns from reference solutions of the training tasks, but {problem.name} has "
                f"{why}; leave data out, or give reference: FILE.nc"
            )
    return settings


def check_rank(rank: int | str, problem: ProblemSettings) -> None:
    """UserError for adapters of no matrix, or larger than those that they correct."""
    if rank != "full" and len(set(problem.network.unadapted)) > problem.network.hidden_layers:
        raise UserError(
            f"config: network.unadapted: {problem.name} has no map left for adapters of rank {rank}"
        )
    rank = problem.hypernetwork.largest_rank if rank == "auto" else rank
    if isinstance(rank, int) and rank > problem.network.width:
        width = f"the width of its network, {problem.network.width}; expected at most that, or full"
        raise UserError(f"config: rank {rank} of {problem.name} is above {width}")


class Once(yaml.SafeLoader):
    """Plain YAML in which no key stands twice: of two the last one would silently win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen = set()
        for key, _ in node.value:
            if str(key.value) in seen and key.tag != "tag:yaml.org,2002:merge":
                raise yaml.YAMLError(
                    f"line {key.start_mark.line + 1}: the key {key.value} stands there twice"
                )
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


def read_config(path: Path) -> dict:
    """The keys and values of a YAML file; UserError for anything else."""
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Once)
    except OSError as error:
        raise UserError(f"config: cannot read {path}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeError) as error:
        raise UserError(f"config: {path} is not YAML: {' '.join(str(error).split())}") from None
    if content is not None and not isinstance(content, dict):
        raise UserError(f"config: {path} holds a {type(content).__name__}, expected keys and values")
    return content or {}


def _merge(base: Mapping, over: Mapping) -> dict:
    """`over` on top of `base`, mappings key by key, anything else replaced."""
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def _resolve(settings: Settings) -> Iterator[str]:
    """Fill in the problems' settings; a line for each problem or rank whose merged settings do not fit."""
    specs = {problem_name(spec): spec for spec in settings.problems}
    patches, named = {}, [problem_name(key) for key in settings.overrides]
    bare = [spec for name, spec in specs.items() if Spec.of(spec).variant and name not in named]
    for key, patch in settings.overrides.items():
        meant = [spec for spec in bare if Spec.of(spec).name == Spec.of(key).name]
        if problem_name(key) in patches:
            yield f"overrides.{key}: {problem_name(key)} has overrides under another key already; join them"
        elif problem_name(key) in specs:
            patches[problem_name(key)] = patch.model_dump(exclude_unset=True)
        elif meant or Spec.of(key).name not in package_problems():  # ours may be left out, overrides may stay
            yield f"overrides.{key}: not among problems{did_you_mean(key, meant or list(specs))}"
    base = settings.model_dump(include=set(Overridable.model_fields), exclude_unset=True)
    for name, spec in specs.items():
        merged = _merge(base, patches.get(name, {}))
        path = ("overrides", name) if name in patches else ()
        try:
            problem = ProblemSettings(**merged, spec=spec, name=name, seed=settings.seed)
        except ValidationError as error:
            yield from lines(error, ProblemSettings, path)
            continue
        settings._problems[name] = problem
        for stage in Training.model_fields:
            for rank in getattr(problem.training, stage).ranks:
                try:
                    problem.stage(stage, rank)
                except ValidationError as error:
                    yield from lines(error, StageSettings, (*path, "training", stage, "ranks", rank))
