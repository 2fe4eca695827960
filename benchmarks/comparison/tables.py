# SPDX-License-Identifier: Apache-2.0
"""Results as tables, in Markdown that is also read as it is."""

from benchmarks.comparison import comparing, figures, shapes
from benchmarks.comparison.figures import Figure

YARDSTICK = "raw"
NOTHING = "-"


def table(head, rows):
    """With columns as wide as what is in them, and numbers to the right."""
    cells = [head] + [[str(cell) for cell in row] for row in rows]
    widths = [max(3, *(len(row[column]) for row in cells)) for column in range(len(head))]

    def write(row):
        first = row[0].ljust(widths[0])
        return "| %s |" % " | ".join([first] + [
            cell.rjust(width) for cell, width in zip(row[1:], widths[1:])])

    rule = "|%s|" % "|".join(["-" * (widths[0] + 2)] + ["-" * (width + 1) + ":" for width in widths[1:]])
    return "\n".join([write(cells[0]), rule] + [write(row) for row in cells[1:]])


class Tables:
    """Reads `results` as Comparison has filled them."""

    def __init__(self, results):
        self.results = results
        self.titles = {server["key"]: server["title"] for server in results["servers"]}
        # In each table; the yardstick's second run comes last, and the single replies are a note.
        keys = [key for key in self.titles if key not in (YARDSTICK, comparing.SINGLE)]
        self.peers = [key for key in keys if key != "millrace"]
        self.columns = keys + ([YARDSTICK] if YARDSTICK in self.titles else [])
        self.counted = keys + [YARDSTICK]

    def title(self, key):
        return self.titles.get(key, "raw LT")

    def compared_title(self, key):
        """Where it is compared with the yardstick: with itself, that is."""
        return "raw LT again" if key == YARDSTICK else self.title(key)

    # --- Ratios ----------------------------------------------------------------------------------

    def ratio(self, what, shape, key):
        """The Figure of "cpu" or "rate"; None if it was not measured."""
        return Figure.of(self.results["shapes"][shape][what].get(key, []))

    def ratios(self, what):
        head = ["shape"] + [self.compared_title(key) for key in self.columns]
        if what == "cpu":
            head += ["goal", "Millrace"]
        rows = [self.ratio_row(what, key) for key in self.results["shapes"]]
        return table(head, rows)

    def ratio_row(self, what, shape):
        measured = {key: self.ratio(what, shape, key) for key in self.columns}
        contenders = [measured[key].median for key in self.columns
                      if measured[key] and key != YARDSTICK]
        row = [shape]
        for key, figure in measured.items():
            best = figure and key != YARDSTICK and figure.median == max(contenders)
            row.append(NOTHING if figure is None else "**%s**" % figure if best else str(figure))
        if what == "cpu":
            goal = shapes.SHAPES[shape].goal
            row += ["%.2f" % goal, figures.verdict(measured.get("millrace"), goal)] if goal else [
                NOTHING, NOTHING]
        return row

    def single_reply_note(self):
        """What joining replies is worth; "" if that was not measured."""
        if "framed" not in self.results["shapes"]:
            return ""
        figure = self.ratio("cpu", "framed", comparing.SINGLE)
        return figure and ("In `framed` the yardstick joins its replies. One that sends each by "
                           "itself is at %s." % figure) or ""

    def yardstick(self):
        rows = []
        for shape, kept in self.results["shapes"].items():
            rate = Figure.of(kept["yardstick"]["rate"])
            cpu = Figure.of(kept["yardstick"]["cpu_us"])
            rows.append([shape, shapes.SHAPES[shape].title, rate or NOTHING, cpu or NOTHING])
        return table(["shape", "", "messages/s", "CPU, us per message"], rows)

    # --- Counts ----------------------------------------------------------------------------------

    def counts(self, part, goals):
        """A row for each server, a column for each shape; or none."""
        counted = self.results[part]
        if not counted:
            return ""
        rows = []
        for key in self.counted:
            values = [counted[shape].get(key) for shape in counted]
            rows.append([self.title(key)] + [
                NOTHING if value is None else figures.brief(value) for value in values])
        rows.append(["goal for Millrace, at most"] + [
            self.goal_cell(goals.get(shape), counted[shape].get("millrace")) for shape in counted])
        return table(["server"] + list(counted), rows)

    @staticmethod
    def goal_cell(goal, value):
        return NOTHING if goal is None else "%g, %s" % (goal, figures.verdict_of_cost(value, goal))

    def memory(self):
        measured = self.results["memory"].get("servers")
        if not measured:
            return ""
        rows = []
        for key in self.counted:
            kept = measured.get(key)
            rows.append([self.title(key)] + ([NOTHING] * 4 if kept is None else [
                "{:,}".format(kept["base"] >> 10)] + [
                    "{:,.0f}".format(kept[when]) for when in ("silent", "small", "large")]))
        own = measured.get("millrace") or {}
        rows.append(["goal for Millrace, at most", NOTHING] + [
            self.goal_cell(shapes.MEMORY_GOAL, own.get(when)) for when in ("silent", "small", "large")])
        return table(["server", "with none, KiB", "silent", "after 64 B", "after 16 KiB and 1 s"], rows)
