"""All methods by name."""

from peers_operators import deeponet_by_data, deeponet_by_physics, fno_by_data
from peers_physics import hyperpinn, one_network, pinnlora

METHODS = {
    "pinnlora": pinnlora, "hyperpinn": hyperpinn, "deepxde": one_network,
    "pi-deeponet": deeponet_by_physics, "deeponet": deeponet_by_data, "fno": fno_by_data,
}  # fmt: skip
