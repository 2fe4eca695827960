# SPDX-License-Identifier: Apache-2.0
"""Results as tables, in Markdown that is also read as it is."""

import textwrap

from benchmarks.comparison import comparing, figures, goals, micro, shapes
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
        return self.titles.get(key) or micro.name_of(key)

    def compared_title(self, key):
        """Where it is compared with the yardstick: with itself, that is."""
        return "raw LT again" if key == YARDSTICK else self.title(key)

    def place(self, who):
        """Where it stands in each table and chart; ways of our own stand beside us."""
        order = [goals.OWN] + self.peers
        return order.index(who) if who in order else len(order) if who == YARDSTICK else 0.5

    # --- Ratios ----------------------------------------------------------------------------------

    def ratio(self, what, shape, key):
        """The Figure of "cpu" or "rate"; None if it was not measured."""
        return Figure.of(self.results["shapes"][shape][what].get(key, []))

    def ratios(self, what):
        head = ["shape"] + [self.compared_title(key) for key in self.columns]
        if any(goals.limit_of(what, shape) for shape in self.results["shapes"]):
            head += ["goal", "Millrace"]
        return table(head, [self.ratio_row(what, shape, len(head)) for shape in self.results["shapes"]])

    def ratio_row(self, what, shape, cells):
        measured = {key: self.ratio(what, shape, key) for key in self.columns}
        contenders = [measured[key].median for key in self.columns
                      if measured[key] and key != YARDSTICK]
        row = [shape]
        for key, figure in measured.items():
            best = figure and key != YARDSTICK and figure.median == max(contenders)
            # Where nobody else was measured, nobody is the best.
            row.append(NOTHING if figure is None else
                       "**%s**" % figure if best and len(contenders) > 1 else str(figure))
        goal = goals.limit_of(what, shape)
        own = ["%.2f" % goal, figures.verdict(measured.get("millrace"), goal)] if goal else [NOTHING] * 2
        return (row + own)[:cells]

    def shape_notes(self):
        """What one has to know of some shapes; "" if none of them was measured."""
        notes = [self.noise_note(), self.single_reply_note()]
        for key in self.results["shapes"]:
            flags = shapes.SHAPES[key].server_flags
            if flags:
                notes.append("In `%s` Millrace alone is measured, with `%s`." % (key, " ".join(flags)))
        return textwrap.fill(" ".join(note for note in notes if note), 110)

    def noise_note(self):
        """How far the yardstick is from itself; "" if that was not measured."""
        medians = [figure.median for figure in (
            self.ratio("cpu", shape, YARDSTICK) for shape in self.results["shapes"]) if figure]
        return medians and "Beside itself the yardstick was between %.2f and %.2f." % (
            min(medians), max(medians)) or ""

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
            if rate and cpu:
                rows.append([shape, shapes.SHAPES[shape].title, rate, cpu])
        return table(["shape", "", "messages/s", "CPU, us per message"], rows)

    # --- Counts ----------------------------------------------------------------------------------

    def counts(self, part):
        """A row for each server, a column for each shape; or none."""
        counted = self.results[part]
        if not counted:
            return ""
        rows = []
        for key in self.counted:
            values = [counted[shape].get(key) for shape in counted]
            rows.append([self.title(key)] + [self.counted_cell(value) for value in values])
        rows.append(["goal for Millrace, at most"] + [
            self.goal_cell(goals.limit_of(part, shape), counted[shape].get("millrace"))
            for shape in counted])
        return table(["server"] + list(counted), rows)

    @staticmethod
    def counted_cell(value):
        return NOTHING if value is None else figures.brief(max(value, 0))

    @staticmethod
    def goal_cell(goal, value):
        return NOTHING if goal is None else "%g, %s" % (
            goal, figures.verdict_of_cost(value, goal + goals.TINY))

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
            self.goal_cell(goals.limit_of("memory", when), own.get(when))
            for when in ("silent", "small", "large")])
        return table(["server", "with none, KiB", "silent", "after 64 B", "after 16 KiB and 1 s"], rows)

    # --- Goals -----------------------------------------------------------------------------------

    def goals(self):
        """A row for each goal, whether it was measured or not."""
        head = ["", "goal", "Millrace", "", "best of the others", "ahead"]
        rows = [self.goal_row(standing) for standing in goals.standings(self.results)]
        return table(head, rows)

    def goal_row(self, standing):
        goal = standing.goal
        sign = ">=" if goal.more_is_better else "<="
        best = "%s %s" % (self.title(standing.best_name), standing.best) if standing.best else NOTHING
        met = standing.verdict
        return [goal.title, "%s %s" % (sign, figures.plain(goal.limit)), standing.own or NOTHING,
                "**%s**" % met if met == "not met" else met, best, self.ahead(standing)]

    def ahead(self, standing):
        if standing.ahead in ("", "level"):
            return standing.ahead or NOTHING
        name = self.title(standing.ahead)
        return name if standing.ahead == goals.OWN else "**%s**" % name

    def muduo_note(self):
        """What is known of a peer that cannot be had; "" if ours was not measured in its shapes."""
        rows = []
        for shape, quoted in goals.QUOTED_MUDUO.items():
            own = goals.measured(self.results, "cpu", shape).get(goals.OWN)
            if own:
                rows.append((shape, quoted, own.median / quoted))
        if not rows:
            return ""
        return textwrap.fill(
            "One more goal is a CPU time %.2f times better than that of muduo, of which Debian has no "
            "package: **it was not measured here.** On another occasion, on one machine, it was at %s of "
            "`raw LT`. If it were so in this run, Millrace would be at %s of it." % (
                goals.MUDUO_GOAL, ", ".join("%.2f in `%s`" % (quoted, shape) for shape, quoted, _ in rows),
                ", ".join("%.2f" % ratio for _, _, ratio in rows)), 110)

    # --- Micro-benchmarks ------------------------------------------------------------------------

    def micro(self, subject):
        """A row for each of its operations, a column for each library; "" if there are none."""
        results = self.results["micro"]
        rows = micro.rows_of(subject, results)
        if not rows:
            return ""
        columns = list(dict.fromkeys(who for row in rows for who in results[row]))
        columns.sort(key=self.place)
        return table([""] + [self.title(who) for who in columns],
                     [[micro.title_of(row)] + self.micro_cells(subject, results[row], columns)
                      for row in rows])

    @staticmethod
    def micro_cells(subject, measured, columns):
        shown = {who: Figure.of([subject.shown(each) for each in measured.get(who, [])])
                 for who in columns}
        medians = [figure.median for figure in shown.values() if figure]
        best = max(medians) if subject.more_is_better else min(medians)
        return [NOTHING if figure is None else
                "**%s**" % figure if figure.median == best and len(medians) > 1 else str(figure)
                for figure in shown.values()]
