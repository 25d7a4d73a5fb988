"""Settings of the networks. No torch; apart from the study's settings, whose edits should retrain nothing."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from .stage_settings import Count, Positive, Strict


class Network(Strict):
    """The tanh network. Its maps are numbered from 0, the input's, to `hidden_layers`, the output's."""

    width: Positive = 64
    hidden_layers: Positive = 6
    unadapted: tuple[Count, ...] = (1,)
    input_map: Literal["identity", "periodic"] = "identity"
    modes: Positive = 1
    formulation: str = "default"
    symmetry: bool = False
    lift: bool = False

    @model_validator(mode="after")
    def _maps_exist(self) -> Self:
        for index in self.unadapted:
            if index > self.hidden_layers:
                raise ValueError(
                    f"unadapted: there is no map {index}; "
                    f"{self.hidden_layers} hidden layers have maps 0 to {self.hidden_layers}"
                )
        return self


class Hypernetwork(Strict):
    """The network from a task to weights."""

    body: Annotated[tuple[Positive, ...], Field(min_length=1)] = (512, 512, 256, 256, 128, 128)
    activation: Literal["tanh", "silu", "relu"] = "silu"
    embedding: Literal["default", "raw"] = "default"
