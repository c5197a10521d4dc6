#!/usr/bin/env python3
"""What readers wished of a report's page: the verdict on the first screen, words that say what they mean, nothing
cut and
nothing shown that says nothing.   report_screen.py RAVEL"""
import copy, re, unittest

import report_page
from report_page import fixture_report


def rows(source, caption):
    """Cells of the table with this caption, row by row."""
    figure = next(f for f in re.findall(r"<figure class='table'>.*?</figure>", source, re.S) if caption in f)
    clean = lambda cell: report_page.html.unescape(re.sub(r"<[^>]*>", "", cell)).replace("\u00a0", " ")
    return [[clean(c) for c in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.S)] for row in figure.split("<tr>")[1:]]


def pairs(document, metric, verdict, **more):
    for q in document["quality"]:
        if q["metric"] != metric: continue
        for pair in q["pairs"]: pair.update(verdict=verdict, **more)


class FirstScreen(report_page.Drawn):
    def test_one_table(self):
        r = fixture_report.full()
        source, page = self.draw(r)
        head, *table = rows(source, "The systems on")
        self.assertEqual(head, ["system", "exact matches, %", "loss, nats per token", "parameters",
                               "training time", "decoding, ms"])
        self.assertEqual([row[0] for row in table], r["models"])
        exact, loss = (next(q for q in r["quality"] if q["metric"] == m) for m in ("exact", "loss"))
        for row, e, l, m in zip(table, exact["models"], loss["models"], r["match"]["models"]):
            value, low, high = map(float, re.fullmatch(r"([\d.]+) \(([\d.]+) to ([\d.]+)\)", row[1]).groups())
            self.assertAlmostEqual(value, 100 * e["value"], delta=0.051)
            self.assertAlmostEqual(low, 100 * e["low"], delta=0.051)
            self.assertAlmostEqual(high, 100 * e["high"], delta=0.051)
            self.assertAlmostEqual(float(row[2]), l["value"], delta=0.0006)
            self.assertEqual(row[3], f"{m['parameters']:,}")
        done = [x["time"]["seconds"] for x in r["runs"] if x["model"] == "bottleneck" and x["status"] == "done"]
        self.assertEqual(table[0][4], f"{sum(done) / len(done):.1f} s")  # the run that diverged is in no mean
        decode = next(c for c in r["cost"]["rows"] if (c["model"], c["phase"]) == ("bahdanau", "decode")
                      and (c["threads"], c["sequence_length"]) == (2, 64))
        self.assertTrue(table[1][5].startswith(f"{decode['ms']:.1f} ("), table[1])
        self.assertIn("Decoding: 8 sequences of 64 tokens on 2 threads", page.words())

    def test_runs_say_their_size(self):
        r = fixture_report.full()
        del r["match"]
        for run in r["runs"]: run["parameters"] = 4321
        self.assertEqual({row[3] for row in rows(self.draw(r)[0], "The systems on")[1:]}, {"4,321"})

    def test_quality_against_cost(self):
        source, _ = self.draw(fixture_report.full())
        for title in "exact matches against training time", "exact matches against decoding time":
            chart = re.search(rf"<figcaption>{title}</figcaption>.*?</figure>", source, re.S)[0]
            for mark in "<circle class='dot f", "<path class='bar s": self.assertEqual(chart.count(mark), 3, chart)
        alone, _ = self.draw(fixture_report.full(models=("lstm",)))
        self.assertNotIn("against training time", alone)
        self.assertNotIn("against training time", self.draw(fixture_report.full(times=False))[0])

    def test_one_sentence(self):
        def lead(r): return re.search(r"<p class='lead'>(.*?)</p>", self.draw(r)[0], re.S)
        def words(r): return re.sub(r"<[^>]*>", "", lead(r)[1]).replace("\u00a0", " ")
        r = fixture_report.full()
        self.assertEqual(words(r), "By exact matches on the test examples, bahdanau beats bottleneck; "
                                   "transformer beats bottleneck; "
                                   "bahdanau and transformer are not distinguishable.")
        pairs(r, "exact", "not distinguishable")
        self.assertEqual(words(r), "By exact matches on the test examples, no two systems are distinguishable.")
        pairs(r, "exact", "no verdict")
        self.assertEqual(words(r), "By exact matches on the test examples, there is no verdict on any pair.")
        many = fixture_report.full([f"data.length={n}" for n in (50, 100, 200)], ("lstm", "gpt"))
        pairs(many, "exact", "a")
        self.assertEqual(words(many), "By exact matches on the test examples, gpt beats all others in 3 of 3 settings."
                         if many["quality"][1]["pairs"][0]["a"] == "gpt" else
                         "By exact matches on the test examples, lstm beats all others in 3 of 3 settings.")
        pairs(many, "exact", "not distinguishable")
        self.assertIn("in no setting does one system beat all others", words(many))
        self.assertIsNone(lead({"format": "ravel-report 1"}))

    def test_one_system_begins_with_its_loss(self):
        source, page = self.draw(fixture_report.full(models=("lstm",)))
        self.assertRegex(page.words(), r"^\s*recurrence-vs-attention lstm: loss 0\.\d+ nats per token "
                         r"\(95 % interval 0\.\d+ to 0\.\d+\), exact matches [\d.]+ % "
                         r"\(95 % interval [\d.]+ to [\d.]+\), on the test examples\.")
        r = fixture_report.full(models=("lstm",))
        del r["quality"]  # a run that is not finished
        self.assertRegex(self.draw(r)[1].words(),
                         r"^\s*recurrence-vs-attention lstm: loss 0\.\d+ nats per token, on the")

    def test_bullets_of_cost_are_folded(self):
        source, _ = self.draw(fixture_report.full())
        folded = re.search(r"<details><summary>Which is cheaper at which length \(2 threads\)</summary>(.*?)</details>",
                           source, re.S)[1]
        self.assertIn("up to 251 tokens", folded)

    def test_labels_are_explained(self):
        r = fixture_report.full()
        self.assertNotIn("class='systems'", self.draw(r)[0])
        r["systems"] = [{"model": m, "text": t} for m, t in
                        zip(r["models"], ("reads by GRU, one vector", "reads by GRU", "transformer"))]
        self.assertIn("bottleneckreads by GRU, one vector", self.draw(r)[1].words().replace("\n", ""))
        for s in r["systems"]: s["text"] = "GRU"
        self.assertNotIn("class='systems'", self.draw(r)[0])


class Words(report_page.Drawn):
    def test_a_difference_names_minuend_and_unit(self):
        r = fixture_report.full()
        for q in r["quality"]:
            for pair in q["pairs"]: pair.update(verdict="not distinguishable", difference=0.04, low=-0.18, high=0.24)
        words = self.draw(r)[1].words()
        self.assertIn("(bottleneck \u2212 bahdanau: 4 percentage points, interval \u221218 to 24)", words)
        self.assertNotIn("(difference", words)

    def test_ends_of_a_crossing(self):
        r = fixture_report.full()
        for c in r["cost"]["crossings"]: c.update(low=None, high=79.0) if c["length"] else None
        self.assertIn("(interval < 16 to 79)", self.draw(r)[1].words())
        for c in r["cost"]["crossings"]: c.update(low=17.0, high=None) if c["length"] else None
        self.assertIn("(interval 17 to > 512)", self.draw(r)[1].words())

    def test_an_unknown_interval_is_no_interval(self):
        r = fixture_report.full()
        for q in r["quality"]:
            for pair in q["pairs"]: pair.update(verdict="no verdict", difference=None, low=None, high=None, p=None)
        source, page = self.draw(r)
        self.assertNotIn("\u2013 to \u2013", page.words())
        self.assertEqual({tuple(row[1:4]) for row in rows(source, "differences of pairs")[1:]}, {("\u2013",) * 3})

    def test_the_runs_begin_with_the_primary_metric(self):
        source, _ = self.draw(fixture_report.full())
        runs = source[source.index("<section id='runs'>"):]
        self.assertEqual(rows(runs, "")[0][:4], ["model", "seed", "exact matches, %", "loss"])

    def test_a_crossing_names_its_pair(self):
        source, _ = self.draw(fixture_report.full())
        self.assertIn(">bottleneck = transformer at 251</text>", source)
        self.assertNotIn(">equal at", source)

    def test_charts_of_one_thread_share_a_row(self):
        r = fixture_report.full()
        r["cost"]["rows"] = [c for c in r["cost"]["rows"] if c["threads"] == 1]
        section = self.draw(r)[0].split("<section id='cost'>")[1]
        self.assertRegex(section.split("<details>")[0],
                         r"(?s)<div class='row'>\s*<figure.*Training step, 1 thread.*Decoding, 1 thread.*</div>")
        self.assertEqual(section.split("<details>")[0].count("<div class='row'>"), 1)

    def test_serial_shares_that_say_nothing(self):
        r = fixture_report.full()
        def shares():
            return {row[1]: row[2] for row in rows(self.draw(r)[0], "At length 512")[1:] if row[0] == "Training step"}
        self.assertTrue(shares()["bahdanau"].startswith("43"))
        for s in r["cost"]["serial"]:
            if s["model"] == "bahdanau": s.update(low=0.1, high=0.9)
            if s["model"] == "transformer": s.update(share=1.0, low=1.0, high=1.0)
        self.assertEqual({m: s[:2] for m, s in shares().items()},
                         {"bottleneck": "54", "bahdanau": "\u2013", "transformer": "\u2013"})
        self.assertIn("A dash: the interval of the share", self.draw(r)[1].words())

    def test_states_are_explained(self):
        r = fixture_report.full()
        r["gradient_flow"] = [dict(s, state="encoder.l0_reverse.h") if s["model"] == "bahdanau" else s
                              for s in r["gradient_flow"]]
        table = rows(self.draw(r)[0], "Half-life in tokens")
        self.assertIn(["bahdanau", "encoder.l0_reverse.h", "hidden state of encoder layer 1, right to left", "9.0",
                       "36"], table)
        self.assertIn(["bottleneck", "encoder.l0.c", "cell state of encoder layer 1"], [row[:3] for row in table])
        self.assertIn(["transformer", "encoder.layers.1", "residual stream into encoder layer 2"],
                      [row[:3] for row in table])

    def test_matched_sizes(self):
        r = fixture_report.full()
        source, page = self.draw(r)
        m = r["match"]["models"][0]
        head, first = rows(source, "Sizes, matched by")[:2]
        self.assertEqual(head[1:3], ["parameters used", "only looked up"])
        self.assertEqual(first[1:3],
                         [f"{m['parameters'] - m['embedding_parameters']:,}", f"{m['embedding_parameters']:,}"])
        self.assertIn("off: how far from those of bottleneck", page.words())
        r["match"]["models"][1]["off"] = -0.0041
        self.assertEqual(rows(self.draw(r)[0], "Sizes, matched by")[2][4], "\u22120.41 %")
        r["match"]["by"] = "none"
        self.assertNotIn("off", rows(self.draw(r)[0], "Sizes</figcaption>")[0])

    def test_what_was_planned_in_the_first_setting(self):
        """Models are matched, budgets counted and rates tried there; a page of several settings says so."""
        for settings, there in (("",), ""), (("data.max_length=8", "data.max_length=16"), ", in the first setting"):
            words = self.draw(fixture_report.full(settings=settings))[1].words()
            for said in "Sizes%s, matched by", "Training%s modelstepstraining tokens", \
                    "3 rates tried per model%s, with 300 steps":
                self.assertIn(said % there, words.replace("The table goes on to the right: scroll it.", ""))

    def test_what_trials_tried(self):
        r = fixture_report.full()
        r["tuning"]["beyond"] = [1e-4, 9e-3]
        self.assertIn("Among them 0.0001 and 0.009, beyond the rates listed", self.draw(r)[1].words())
        for m in r["tuning"]["models"]:
            m["with"] = "model.dropout=0.1"
            m["tried"] = [dict(t, **{"with": w}, loss=t["loss"] and t["loss"] + 1 * (w != m["with"]))
                          for t in m["tried"] for w in ("model.dropout=0", "model.dropout=0.1")]
        source, page = self.draw(r)
        self.assertIn("6 combinations of a rate and other values tried per model", page.words())
        self.assertIn("the trials with the other values that each model took", page.words())
        table = rows(source, "Validation loss that each learning rate came to")
        self.assertEqual([row[:2] for row in table[1:3]], [["bottleneck, model.dropout=0", "\u2013"],
                                                           ["bottleneck, model.dropout=0.1", "0.003"]])
        self.assertEqual([row[3] for row in table[1:3]], ["1.80", "0.800"])
        for m in r["tuning"]["models"]:
            m["tried"] = [{"lr": m["lr"], "loss": 1.0, "diverged": False}]
            del m["with"]
        self.assertIn("1 rate tried per model, with 300 steps", self.draw(r)[1].words())
        # Under way: of three models one has run its trial, and that of another diverged.
        for m, loss, diverged in zip(r["tuning"]["models"], (1.0, None, None), (False, True, False)):
            m["tried"] = [{"lr": m["lr"] or 1e-3, "loss": loss, "diverged": diverged}]
        words = re.search("Learning rates: .*? Chance: ", self.draw(r)[1].words())[0]
        self.assertIn("Learning rates: not all tried yet. 1 rate to try per model, with 300 steps each; 1 of 3 trials "
                      "are still to run; the one with the lowest validation loss will be taken. Among", words)


class Tables(report_page.Drawn):
    def test_wide_tables_say_that_they_scroll(self):
        source, _ = self.draw(fixture_report.full())
        systems = source[source.index("The systems on"):]
        self.assertRegex(systems[:systems.index("<table>")],
                         r"<p class='more m8\d0'>The table goes on to the right: scroll it\.</p>")
        narrow = source[source.index("Training</figcaption>"):]
        self.assertIn("class='more m3", narrow[:narrow.index("<table>")])
        self.assertIn("@container(max-width:640px){.m640{display:block}}", source)

    def test_print_keeps_a_paragraph_with_its_chart(self):
        """As it keeps headings; that a browser does so is looked at by eye."""
        style = re.search(r"<style>(.*?)</style>", self.draw(fixture_report.full())[0], re.S)[1]
        self.assertIn("@media print{.more{display:none!important}p{break-inside:avoid}"
                      ":is(p,ul):has(+.row,+figure,+h3,+.samples){break-after:avoid}}", style)

    def test_long_names_break_between_words(self):
        source, _ = self.draw(fixture_report.full())
        self.assertIn("<td class='k'>model.<wbr/>encoder.<wbr/>hidden_<wbr/>size</td>", source)
        self.assertIn("@media(max-width:600px){.k{min-width:42vw}}", source)
        self.assertNotRegex(source, r">[\d,]+\.<wbr/>")


if __name__ == "__main__":
    unittest.main()
