"""What yosys has to be told before it synthesises the gateware, whichever flow runs it."""

# Amaranth emits a wire `name[k]` for every element of an array, which yosys takes for bit k of
# `name` (YosysHQ/yosys issue 4349).
HIDE_ELEMENTS = "rename -hide w:*[*]"
# A word that is read while it is written is not defined in any memory here, so yosys need not add
# logic for that case. And abc9 is told how long a wire is.
PREPARE = (
    HIDE_ELEMENTS,
    "setparam -set COLLISION_X_MASK 1'1 t:$memrd_v2 r:CLK_ENABLE=1 %i",
    "scratchpad -set abc9.D 4000",
)


class Part:
    """What components ask of a platform: the device, so that they instantiate its cells.

    Parameters
    ----------
    device : such as ``LFE5U-85F``
    """

    def __init__(self, device: str):
        self.device = device
