"""The pictures: well-formed, described, and saying what the numbers say."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.web.charts.curves import Point, Scale, Threshold, curve, sparkline
from registry.web.charts.evidence import WIDTH, evidence_bar
from registry.web.charts.flow import Lane, Step, flow_diagram, lane_size, walk
from registry.web.charts.lineage import Edge, Node, columns, lineage_graph
from registry.web.charts.svg import element, number, shorten

TEXT = st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=30)


def parsed(svg: str) -> ElementTree.Element:
    """The picture as XML; a picture that is not well-formed fails here."""
    return ElementTree.fromstring(svg)


def texts(svg: str) -> list[str]:
    return [found.text or "" for found in parsed(svg).iter("text")]


class TestElement:
    def test_escapes_text_and_attributes(self) -> None:
        svg = element("text", "<script>", title='"x"')

        assert str(svg) == '<text title="&quot;x&quot;">&lt;script&gt;</text>'

    def test_leaves_none_out_and_turns_underscores_into_hyphens(self) -> None:
        assert str(element("rect", class_="bar", text_anchor="end", rx=None)) == '<rect class="bar" text-anchor="end"/>'

    @pytest.mark.parametrize(("value", "written"), [(2.0, "2"), (2.5, "2.5"), (-0.001, "-0"), (10.0, "10")])
    def test_writes_numbers_short(self, value: float, written: str) -> None:
        assert number(value) == written

    def test_shortens_on_one_line(self) -> None:
        assert shorten("one\n two three", 9) == "one two…"


class TestEvidenceBar:
    def test_is_as_long_as_the_rate(self) -> None:
        bar = next(
            found
            for found in parsed(evidence_bar(rate=0.5, low=0.4, high=0.6)).iter("rect")
            if "bar" in found.get("class", "")
        )

        assert float(bar.get("width", "0")) == WIDTH / 2

    def test_says_rate_and_interval_in_words(self) -> None:
        picture = parsed(evidence_bar(rate=0.86, low=0.71, high=0.94))

        assert [picture.findtext("title"), picture.findtext("desc")] == [
            "Success rate 86 %",
            "95 % interval from 71 to 94 %",
        ]

    def test_carries_its_kind_as_a_class_of_its_own(self) -> None:
        kinds = {kind: evidence_bar(rate=0.5, low=0.1, high=0.9, kind=kind) for kind in ("measured", "simulated")}

        assert kinds["measured"] != kinds["simulated"]

    @given(rate=st.floats(-1, 2), low=st.floats(-1, 2), high=st.floats(-1, 2))
    def test_stays_inside_its_track(self, rate: float, low: float, high: float) -> None:
        widths = [
            float(found.get("width", "0")) for found in parsed(evidence_bar(rate=rate, low=low, high=high)).iter("rect")
        ]

        assert all(0 <= width <= WIDTH for width in widths)


class TestSparkline:
    def test_tells_extremes_and_end(self) -> None:
        assert parsed(sparkline([1, 3, 2], title="quality")).findtext("desc") == "3 values from 1 to 3, now 2"

    @given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=20))
    def test_draws_any_numbers(self, values: list[float]) -> None:
        picture = parsed(sparkline(values, title="any"))

        assert "nan" not in ElementTree.tostring(picture, encoding="unicode").lower()


class TestCurve:
    def test_draws_band_and_threshold(self) -> None:
        line = [Point(value=0.5, label=str(n), low=0.4, high=0.6) for n in range(3)]
        svg = curve(line, title="t", description="d", thresholds=[Threshold(value=0.8, label="enough")])

        assert "enough" in texts(svg)
        assert [found.get("class") for found in parsed(svg).iter("polygon")] == ["band"]

    def test_needs_no_points(self) -> None:
        assert parsed(curve([], title="t", description="d")).findtext("title") == "t"

    def test_higher_values_stand_higher_on_a_logarithmic_axis_too(self) -> None:
        scale = Scale(low=0.1, high=100, top=0, bottom=100, logarithmic=True)

        assert scale.y(100) < scale.y(10) < scale.y(1) < scale.y(0.1)


class TestLineageGraph:
    def test_no_edge_points_backwards(self) -> None:
        nodes = [Node(key=key, title=key) for key in "abcd"]
        edges = [Edge(parent=p, child=c, kind="fork") for p, c in ("ab", "bc", "ac", "dc")]

        depth = columns(nodes, edges)

        assert all(depth[edge.parent] < depth[edge.child] for edge in edges)

    def test_a_cycle_is_drawn_nevertheless(self) -> None:
        nodes = [Node(key=key, title=key) for key in "ab"]
        edges = [Edge(parent="a", child="b", kind="fork"), Edge(parent="b", child="a", kind="merge")]

        assert texts(lineage_graph(nodes, edges, title="t")).count("a") == 1

    def test_a_text_that_is_not_held_has_no_link_and_says_so(self) -> None:
        svg = lineage_graph([Node(key="a", title="swiss")], [], title="t")

        assert list(parsed(svg).iter("a")) == []
        assert "not held here" in texts(svg)

    @given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=24))
    def test_draws_any_graph(self, pairs: list[tuple[int, int]]) -> None:
        nodes = [Node(key=str(n), title=f"n{n}", href="/") for n in range(8)]
        edges = [Edge(parent=str(a), child=str(b), kind="fork") for a, b in pairs]

        assert len(list(parsed(lineage_graph(nodes, edges, title="t")).iter("a"))) == 8


class TestFlowDiagram:
    def test_links_every_step_to_its_line(self) -> None:
        inner = Step(label="ask", line=4, kind="ask")
        steps = [Step(label="FOREACH", line=3, kind="loop", lanes=(Lane(steps=(inner,)),))]

        hrefs = [found.get("href") for found in parsed(flow_diagram(steps, title="t", href="/source/")).iter("a")]

        assert hrefs == ["/source/#L3", "/source/#L4"]

    def test_a_block_is_larger_than_what_it_holds(self) -> None:
        inner = Lane(steps=(Step(label="a", line=1), Step(label="b", line=2)))
        outer = Lane(steps=(Step(label="PARALLEL", line=1, kind="parallel", lanes=(inner, inner)),))

        assert lane_size(outer).width > 2 * lane_size(inner).width
        assert lane_size(outer).height > lane_size(inner).height

    def test_walks_in_reading_order(self) -> None:
        steps = [Step(label="1", line=1, lanes=(Lane(steps=(Step(label="2", line=2),)),)), Step(label="3", line=3)]

        assert [step.label for step in walk(steps)] == ["1", "2", "3"]

    @given(label=TEXT)
    def test_takes_any_label(self, label: str) -> None:
        assert parsed(flow_diagram([Step(label=label, line=1)], title=label))
