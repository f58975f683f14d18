"""The plots of the report, by matplotlib's objects; nothing here touches pyplot."""

from fmzip.report.plots.energy import energy_plot
from fmzip.report.plots.files import write_plots
from fmzip.report.plots.layers import layers_plot
from fmzip.report.plots.maps import maps_plot
from fmzip.report.plots.pareto import pareto_plot

__all__ = ["energy_plot", "layers_plot", "maps_plot", "pareto_plot", "write_plots"]
