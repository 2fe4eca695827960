# SPDX-License-Identifier: Apache-2.0
"""Charts in SVG that need nothing else, and are read on light and on dark paper."""

import math
from xml.sax.saxutils import escape

# Of each server: on white, and on black. Millrace's first; these are told apart by most eyes, and
# by the order of the rows by the others.
COLOURS = [("#0969da", "#4493f8"), ("#bc4c00", "#db6d28"), ("#8250df", "#ab7df8"),
           ("#1a7f37", "#3fb950"), ("#6e7781", "#8b949e"), ("#bf3989", "#db61a2")]

WIDTH = 860
LABEL_WIDTH = 260  # What stands left of the axis.
VALUE_WIDTH = 70  # And right of it.
ROW = 15
GAP = 14  # Between groups of rows.
HEAD = 70  # Title and legend.


def style(count):
    rules = ["text { fill: #1f2328 } .quiet { fill: #57606a } .paper { fill: #ffffff }",
             ".axis { stroke: #d1d9e0 } .one { stroke: #57606a; stroke-dasharray: 4 3 }"]
    dark = ["text { fill: #f0f6fc } .quiet { fill: #9198a1 } .paper { fill: #0d1117 }",
            ".axis { stroke: #30363d } .one { stroke: #9198a1 }"]
    for number in range(count):
        light_colour, dark_colour = COLOURS[number % len(COLOURS)]
        rule = ".s%d { fill: %s; stroke: %s }"
        rules.append(rule % (number, light_colour, light_colour))
        dark.append(rule % (number, dark_colour, dark_colour))
    return "%s\n@media (prefers-color-scheme: dark) {\n%s\n}\n.bar { stroke: none }" % (
        "\n".join(rules), "\n".join(dark))


def text(x, y, words, anchor="start", classes="", size=12, weight=400):
    return '<text x="%.1f" y="%.1f" text-anchor="%s" class="%s" font-size="%d" font-weight="%d">%s</text>' % (
        x, y, anchor, classes, size, weight, escape(words))


def line(x1, y1, x2, y2, classes, width=1.0):
    return '<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" class="%s" stroke-width="%g"/>' % (
        x1, y1, x2, y2, classes, width)


def legend(names):
    parts, x = [], 16.0
    for number, name in enumerate(names):
        parts.append('<circle cx="%.1f" cy="50" r="5" class="s%d"/>' % (x + 5, number))
        parts.append(text(x + 15, 54, name))
        x += 34 + 7 * len(name)
    return parts


def drawing(title, description, height, names, parts):
    """The whole picture: `names` are the servers, in the order of their colours."""
    return "\n".join([
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" '
        'aria-labelledby="title desc" font-family="system-ui, sans-serif">' % (WIDTH, height),
        '<title id="title">%s</title>' % escape(title),
        '<desc id="desc">%s</desc>' % escape(description),
        "<style>\n%s\n</style>" % style(len(names)),
        '<rect class="paper" width="%d" height="%d" rx="6"/>' % (WIDTH, height),
        text(16, 28, title, size=15, weight=600), *legend(names), *parts, "</svg>", ""])


# --- Ratios: a dot for the median, a line from the least to the most -----------------------------------

class LogScale:
    """Ratios: twice as much is as far from one as half as much."""

    def __init__(self, values):
        self.low = min([0.5] + values) / 1.1
        self.high = max([2.0] + values) * 1.1

    def x(self, value):
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return LABEL_WIDTH + share * (WIDTH - LABEL_WIDTH - VALUE_WIDTH)

    def ticks(self):
        values = [2.0 ** power for power in range(-6, 6)]
        return [value for value in values if self.low <= value <= self.high]


def ratio_rows(shape_title, rows, names, scale, top):
    """One group: `rows` are {name: Figure}."""
    parts = [text(LABEL_WIDTH - 12, top + 12, shape_title, "end")]
    for position, (name, figure) in enumerate(rows.items()):
        y = top + 8 + position * ROW
        colour = "s%d" % names.index(name)
        parts.append(line(scale.x(figure.low), y, scale.x(figure.high), y, colour, 2))
        parts.append('<circle cx="%.1f" cy="%.1f" r="4.5" class="%s"/>' % (
            scale.x(figure.median), y, colour))
        parts.append(text(WIDTH - 14, y + 4, "%.2f" % figure.median, "end", "quiet", 11))
    return parts


def ratio_chart(title, description, groups, names):
    """`groups` are (title of the shape, {name: Figure})."""
    values = [each for _, rows in groups for figure in rows.values()
              for each in (figure.low, figure.high)]
    scale = LogScale(values)
    parts, top = [], HEAD + 8
    for shape_title, rows in groups:
        parts += ratio_rows(shape_title, rows, names, scale, top)
        top += len(rows) * ROW + GAP
    axis = []
    for tick in scale.ticks():
        x = scale.x(tick)
        axis.append(line(x, HEAD, x, top, "one" if tick == 1 else "axis"))
        axis.append(text(x, top + 16, "%g" % tick, "middle", "quiet", 11))
    return drawing(title, description, top + 28, names, axis + parts)


# --- Amounts: bars ---------------------------------------------------------------------------------

def amount_rows(group_title, rows, names, most, top):
    parts = [text(LABEL_WIDTH - 12, top + 12, group_title, "end")]
    room = WIDTH - LABEL_WIDTH - VALUE_WIDTH
    for position, (name, (value, words)) in enumerate(rows.items()):
        y = top + position * ROW
        width = max(1.0, value / most * room)
        parts.append('<rect x="%d" y="%.1f" width="%.1f" height="%d" class="s%d bar"/>' % (
            LABEL_WIDTH, y + 2, width, ROW - 4, names.index(name)))
        parts.append(text(LABEL_WIDTH + width + 6, y + 12, words, classes="quiet", size=11))
    return parts


def amount_chart(title, description, groups, names):
    """`groups` are (title, {name: (value, how it is written)}); less is better."""
    most = max([value for _, rows in groups for value, _ in rows.values()] + [1e-9])
    parts, top = [], HEAD + 8
    for group_title, rows in groups:
        parts += amount_rows(group_title, rows, names, most, top)
        top += len(rows) * ROW + GAP
    parts.append(line(LABEL_WIDTH, HEAD, LABEL_WIDTH, top - 4, "axis"))
    return drawing(title, description, top + 8, names, parts)
