"""How the command line shows modelled energy."""

from typing import Any

from rich.markup import escape
from rich.table import Table


def energy_table(found: dict[str, Any]) -> Table:
    """What ``fmzip.energy.report`` says of uncoded traffic, one memory a line."""
    traffic = found["traffic"]
    moved = f"{traffic['raw_write_bytes']:,} bytes written, {traffic['raw_read_bytes']:,} read"
    table = Table(
        title=f"{moved}, in a frame time of {1e3 * found['frame_time_s']:.4g} ms",
        caption="modelled. pJ per bit and traffic: incremental, without standby, refresh and data "
        "lines. Device: the chip over the frame time, CKE always high, and with power-down. "
        "Verified: every value was read at its origin. * the frame time was stretched",
    )
    table.add_column("memory")
    table.add_column("kind")
    for name in ("pJ per bit", "traffic uJ", "device uJ", "power-down uJ"):
        table.add_column(name, justify="right")
    table.add_column("verified")
    table.add_column("source")
    for part in found["parts"]:
        device = part["device"]
        stretched = "*" if "note" in device else ""
        per_bit = part["memory_pj_per_bit"]
        table.add_row(
            escape(part["part"]),
            escape(part["kind"]),
            "-" if per_bit is None else f"{per_bit:.1f}",
            _uj(part["incremental"]),
            _uj(device.get("without_power_down")) + stretched,
            _uj(device.get("with_power_down")) + stretched,
            "yes" if part["verified"] else "no",
            escape(part["source"]),
        )
    return table


def _uj(figure: dict[str, float] | None) -> str:
    return "-" if figure is None else f"{figure['raw_pj'] / 1e6:,.1f}"
