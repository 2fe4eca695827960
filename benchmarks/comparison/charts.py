# SPDX-License-Identifier: Apache-2.0
"""Charts in SVG that need nothing else, and are read on light and on dark paper."""

import math
from xml.sax.saxutils import escape

# Of each server: on white, and on black. Millrace's first. Each row has its name as well, for eyes
# that do not tell them apart.
COLOURS = [("#0969da", "#4493f8"), ("#bc4c00", "#db6d28"), ("#8250df", "#ab7df8"),
           ("#1a7f37", "#3fb950"), ("#bf3989", "#db61a2"), ("#6e7781", "#8b949e"),
           ("#9a6700", "#d29922"), ("#0a7d7d", "#39c5c5")]

WIDTH = 860
LABEL_WIDTH = 340  # What stands left of the axis.
VALUE_WIDTH = 70  # And right of it.
ROW = 17
GAP = 14  # Between groups of rows.
HEAD = 44  # The title.
TEXT, TITLE = 13, 16  # Sizes, at the width that it is shown in.


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


def text(x, y, words, anchor="start", classes="", size=TEXT, weight=400):
    return '<text x="%.1f" y="%.1f" text-anchor="%s" class="%s" font-size="%d" font-weight="%d">%s</text>' % (
        x, y, anchor, classes, size, weight, escape(words))


def line(x1, y1, x2, y2, classes, width=1.0):
    return '<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" class="%s" stroke-width="%g"/>' % (
        x1, y1, x2, y2, classes, width)


def labels(group_title, rows, top):
    """Left of a group: its title, and a name for each row."""
    parts = [text(16, top + 13, group_title)]
    for position, name in enumerate(rows):
        parts.append(text(LABEL_WIDTH - 12, top + position * ROW + 13, name, "end", "quiet"))
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
        text(16, 28, title, size=TITLE, weight=600), *parts, "</svg>", ""])


# --- Ratios: a dot for the median, a line from the least to the most -----------------------------------

class LogScale:
    """Ratios: twice as much is as far from one as half as much. What lies beyond is at the edge."""
    LOW, HIGH = 0.4, 2.4

    @classmethod
    def holds(cls, value):
        return cls.LOW <= value <= cls.HIGH

    @classmethod
    def x(cls, value):
        value = min(max(value, cls.LOW), cls.HIGH)
        share = math.log(value / cls.LOW) / math.log(cls.HIGH / cls.LOW)
        return LABEL_WIDTH + 8 + share * (WIDTH - LABEL_WIDTH - VALUE_WIDTH - 8)


TICKS = [0.5, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0]


def dot(value, y, colour):
    """Of the median; a triangle points to one that lies beyond the edge."""
    x = LogScale.x(value)
    if LogScale.holds(value):
        return '<circle cx="%.1f" cy="%.1f" r="4.5" class="%s"/>' % (x, y, colour)
    tip = -6 if value < LogScale.LOW else 6
    return '<path d="M %.1f %.1f l %d -5 v 10 z" class="%s"/>' % (x + tip, y, -2 * tip, colour)


def ratio_rows(shape_title, rows, names, top):
    """One group: `rows` are {name: Figure}."""
    parts = labels(shape_title, rows, top)
    for position, (name, figure) in enumerate(rows.items()):
        y = top + 9 + position * ROW
        colour = "s%d" % names.index(name)
        parts.append(line(LogScale.x(figure.low), y, LogScale.x(figure.high), y, colour, 2))
        parts.append(dot(figure.median, y, colour))
        parts.append(text(WIDTH - 14, y + 4, "%.2f" % figure.median, "end"))
    return parts


def ratio_chart(title, description, groups, names):
    """`groups` are (title of the shape, {name: Figure})."""
    parts, top = [], HEAD + 8
    for shape_title, rows in groups:
        parts += ratio_rows(shape_title, rows, names, top)
        top += len(rows) * ROW + GAP
    axis = []
    for tick in TICKS:
        x = LogScale.x(tick)
        axis.append(line(x, HEAD, x, top, "one" if tick == 1 else "axis"))
        axis.append(text(x, top + 16, "%g" % tick, "middle", "quiet"))
    return drawing(title, description, top + 28, names, axis + parts)


# --- Amounts: bars ---------------------------------------------------------------------------------

def amount_rows(group_title, rows, names, most, top):
    parts = labels(group_title, rows, top)
    room = WIDTH - LABEL_WIDTH - VALUE_WIDTH
    for position, (name, (value, words)) in enumerate(rows.items()):
        y = top + position * ROW
        width = max(1.0, value / most * room)
        parts.append('<rect x="%d" y="%.1f" width="%.1f" height="%d" class="s%d bar"/>' % (
            LABEL_WIDTH, y + 2, width, ROW - 4, names.index(name)))
        parts.append(text(LABEL_WIDTH + width + 6, y + 13, words))
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
