"""The plots of a card as SVG files; the same values make the same bytes.

Not here: where the values come from.
"""

from __future__ import annotations

import io
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from magpie_hf.text.language import tr

if TYPE_CHECKING:
    from matplotlib.axes import Axes

VERSION = 1
Series = Mapping[str, Sequence[float]]  # values of one panel, by their name in the legend
_COLOURS = ("#2b6cb0", "#dd6b20")
_BINS = 20
_COLUMNS, _WIDTH, _HEIGHT = 3, 2.9, 1.9  # panels side by side; inches of a panel
# Text stays text: it takes two thirds of the bytes of outlines. Its widths are those of matplotlib's own
# font. The background is white, as labels are dark.
_STYLE = {
    "svg.hashsalt": "magpie_hf",
    "svg.fonttype": "none",
    "font.family": ["sans-serif"],
    "font.size": 8.0,
    "savefig.facecolor": "white",
}


@dataclass(frozen=True)
class Plot:
    """Histograms of one kind of value, with one panel per domain.

    label: of the axis. logarithmic: whether the axis is, if the values spread. bounds: the ends of the axis;
    None takes the least and the largest value.
    """

    name: str
    label: str
    panels: Mapping[str, Series]
    logarithmic: bool = False
    bounds: tuple[float, float] | None = None

    @property
    def values(self) -> list[float]:
        return [value for series in self.panels.values() for values in series.values() for value in values]


def missing() -> str | None:
    """Why plots cannot be rendered, in one line; None where they can."""
    if find_spec("matplotlib") is not None:
        return None
    return tr(
        "the card gets no plots, as matplotlib is not installed; pip install 'magpie-hf[plots]' renders them"
    )


def render(plots: Sequence[Plot]) -> dict[str, bytes]:
    """Each plot that has values as an SVG file, by its name. Needs matplotlib; see `missing`."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # ignores the user's matplotlibrc
        matplotlib.rcParams.update(_STYLE)
        return {plot.name: _svg(plot) for plot in plots if plot.values}


def _svg(plot: Plot) -> bytes:
    from matplotlib.figure import Figure

    columns = min(_COLUMNS, len(plot.panels))
    rows = -(-len(plot.panels) // columns)
    width, height = _WIDTH * columns + 0.4, _HEIGHT * rows + 0.5
    figure = Figure(figsize=(width, height))
    axes = figure.subplots(rows, columns, squeeze=False)
    figure.subplots_adjust(
        left=0.5 / width,
        right=1 - 0.3 / width,
        bottom=0.5 / height,
        top=1 - 0.3 / height,
        wspace=0.3,
        hspace=0.55,
    )
    edges, logarithmic = _edges(plot)
    for panel, (domain, series) in zip(axes.flat, plot.panels.items(), strict=False):
        _panel(panel, domain, series, edges, logarithmic)
    for empty in axes.flat[len(plot.panels) :]:
        empty.set_axis_off()
    figure.text(0.5, 0.12 / height, plot.label, ha="center")
    file = io.BytesIO()
    figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return file.getvalue()


def _panel(axes: Axes, domain: str, series: Series, edges: np.ndarray, logarithmic: bool) -> None:
    values = [value for one in series.values() for value in one]
    about = f", median {statistics.median(values):,.4g}" if values else ""
    axes.set_title(f"{domain}: {len(values):,}{about}", fontsize=8, parse_math=False)
    if logarithmic:
        axes.set_xscale("log")
    axes.set_xlim(edges[0], edges[-1])
    _ticks(axes, edges, logarithmic)
    for number, (name, one) in enumerate(series.items()):
        counts, _ = np.histogram(one, edges)
        colour = _COLOURS[number % len(_COLOURS)]
        axes.stairs(
            counts,
            edges,
            fill=True,
            facecolor=(colour, 0.35),
            edgecolor=colour,
            linewidth=1,
            label=f"{name} ({len(one):,})",
        )
    highest = max((int(np.histogram(one, edges)[0].max()) for one in series.values()), default=0)
    axes.set_ylim(0, max(highest, 1) * (1.4 if len(series) > 1 else 1.05))  # with room for the legend
    if len(series) > 1:
        axes.legend(fontsize=6, frameon=False, loc="upper right")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _ticks(axes: Axes, edges: np.ndarray, logarithmic: bool) -> None:
    from matplotlib.ticker import MaxNLocator, NullLocator, StrMethodFormatter

    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    if logarithmic:  # five numbers, each with two digits at most
        ticks = sorted({float(f"{value:.1e}") for value in np.geomspace(edges[0], edges[-1], 5)})
        axes.set_xticks([tick for tick in ticks if edges[0] <= tick <= edges[-1]])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    else:
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))


def _edges(plot: Plot) -> tuple[Any, bool]:
    """The edges of the bins, the same in all panels, and whether the axis is logarithmic."""
    low, high = plot.bounds or (min(plot.values), max(plot.values))
    if plot.logarithmic and low >= 1 and high > 4 * low:
        return np.geomspace(low, high, _BINS + 1), True
    return (
        np.linspace(low, high, _BINS + 1) if high > low else np.linspace(low - 0.5, high + 0.5, _BINS + 1)
    ), False
