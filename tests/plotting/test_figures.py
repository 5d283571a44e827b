# SPDX-License-Identifier: MIT
"""Every kind of figure shows the numbers of its rows, in every format, the same way each time."""

import json

import matplotlib
import pytest
from matplotlib.colors import to_hex

from cowfast.errors import ResultsError
from cowfast.plotting import KINDS, Document, draw, figure, read_document
from cowfast.plotting.style import CAUSES, REMOVALS, compact, new_figure, styled

POLICIES = ("linux-5.10", "linux-5.16", "sole-owner")


def row(policy, seed=1, **more):
    needless = 0 if policy == "sole-owner" else 20 + seed
    counters = {
        "copies": 100 + needless,
        "needless_copies": needless,
        "needless_by_cause.swap_cache": needless,
        "missed_copies": 0,
        "forks": 4,
        "write_faults": 150,
        "swap_cache_adds": 50,
        "swap_cache_readds": 5,
        "swap_cache_removals": 40,
        "removals_by_cause.reclaim": 30,
        "removals_by_cause.copy": 10,
        "swap_writes": 45,
        "avoidable_writes": 3,
        "drains": 7,
    }
    return {"spec_hash": f"{policy}/{seed}", "policy": policy, "seed": seed, "counters": counters} | more


def sweep_rows():
    return [
        row(policy, seed, spec={"machine": {"memory": memory}, "source": {"children": children}})
        for policy in POLICIES
        for seed in (1, 2, 3)
        for memory in (1000, 2000)
        for children in (1, 2, 4)
    ]


SAMPLES = [{"events": 10 * i, "copies": i * i, "pages_in_use": 5 * i, "swap_cache_pages": i} for i in range(1, 9)]
FILES = [
    {"file": "x/6.1-zram.jsonl.xz", "policy": "linux-6.1", "events": 200, "events_right": 199},
    {"file": "redis.txt.xz", "policy": "linux-6.18", "faults": 100, "agree": 90, "ambiguous": 9},
]
INPUTS = {
    "copies": ([row(each) for each in POLICIES], {}),
    "churn": ([row(each) for each in POLICIES], {}),
    "history": ([row(each) for each in POLICIES], {}),
    "cost": ([row(each) for each in POLICIES], {}),
    "lines": (sweep_rows(), {"x": "memory", "y": "needless_share"}),
    "fanout": (sweep_rows(), {"x": "children"}),
    "map": (sweep_rows(), {"x": "memory", "y": "children", "policy": "linux-5.16"}),
    "timeline": ([row("linux-5.10", samples=SAMPLES)], {}),
    "agreement": (FILES, {}),
}


def document(kind):
    rows, options = INPUTS[kind]
    return Document([], rows) if kind == "agreement" else Document(rows), options


@pytest.mark.parametrize("kind", KINDS)
def test_axes_say_what_they_count(kind):
    content, options = document(kind)
    ax = figure(kind, content, **options).axes[0]
    said = [ax.get_xlabel(), ax.get_ylabel(), *(text.get_text() for text in ax.texts)]
    assert any("[" in text for text in said), said


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_same_results_make_the_same_file(tmp_path, suffix):
    results = tmp_path / "results.json"
    results.write_text(json.dumps({"source": "test", "rows": INPUTS["copies"][0]}))
    images = [tmp_path / f"{name}{suffix}" for name in "ab"]
    for image in images:
        draw("copies", results, image, size="paper")
    assert images[0].read_bytes() == images[1].read_bytes()
    assert images[0].stat().st_size > 1000


def test_bars_add_up_to_all_copies():
    ax = figure("copies", document("copies")[0]).axes[0]
    ends = {}
    for bar in ax.patches:
        line = round(bar.get_y() + bar.get_height() / 2)
        ends[line] = max(ends.get(line, 0), bar.get_x() + bar.get_width())
    assert ends == {0: 121, 1: 121, 2: 100}


@pytest.mark.parametrize(("missed", "said"), [(37, "37 leaks!"), (1, "1 leak!")])
def test_a_leak_is_marked(missed, said):
    rows = [row("linux-5.10")]
    rows[0]["counters"]["missed_copies"] = missed
    ax = figure("copies", Document(rows)).axes[0]
    assert any(text.get_text().strip() == said for text in ax.texts)


def test_policies_with_equal_lines_share_one():
    content, options = document("lines")
    ax = figure("lines", content, **options).axes[0]
    assert [line.get_label() for line in ax.lines] == ["linux-5.10, linux-5.16", "sole-owner"]
    assert ax.lines[0].get_ydata()[0] == pytest.approx(sum(100 * n / (100 + n) for n in (21, 22, 23)) / 3)


def test_map_names_what_varies():
    content, _ = document("map")
    with pytest.raises(ResultsError, match=r"what varies: source\.children, machine\.memory"):
        figure("map", content, x="zipf", y="children", policy="linux-5.16")
    with pytest.raises(ResultsError, match="say which: policy="):
        figure("map", content, x="memory", y="children")


def test_looks_are_told_apart_by_colour_and_by_hatch():
    for looks in (CAUSES, REMOVALS):
        assert len({to_hex(fill.color) for fill in looks.values()}) == len(looks)
        assert len({fill.hatch for fill in looks.values()}) == len(looks)


def test_cost_table_of_the_user(tmp_path):
    table = tmp_path / "costs.toml"
    table.write_text('machine = "mine"\n[ns]\ncopies = 1e7\n')
    content, _ = document("cost")
    ax = figure("cost", content, costs=str(table)).axes[0]
    assert ax.patches[0].get_width() == pytest.approx(1.21)
    assert "mine" in ax.get_xlabel()
    table.write_text('machine = "mine"\n[ns]\ncopy = 1\n')
    with pytest.raises(ResultsError, match=r"ns\.copy has no price; what has one: copies"):
        figure("cost", content, costs=str(table))


@pytest.mark.parametrize("text", ["", '{"a": 1}', "policy,copies\nlinux-6.1,3\n"])
def test_foreign_files_are_refused_by_name(tmp_path, text):
    path = tmp_path / "foreign.json"
    path.write_text(text)
    with pytest.raises(ResultsError, match=r"foreign\.json"):
        read_document(path)


def test_bad_requests_say_what_to_write(tmp_path):
    content, _ = document("copies")
    with pytest.raises(ResultsError, match="write one of copies, churn"):
        figure("pie", content)
    with pytest.raises(ResultsError, match="needs the files that cowfast verify writes"):
        figure("agreement", content)
    with pytest.raises(
        ResultsError, match=r"needs x and y: a parameter that varies; here: source.children, machine.memory"
    ):
        figure("map", document("map")[0])
    with pytest.raises(ResultsError, match="has no option color; its options: none"):
        figure("copies", content, color="red")
    with pytest.raises(ResultsError, match=r"must end in \.png, \.svg, \.pdf"):
        draw("copies", tmp_path / "none", "x.gif")


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (950, "950"), (12_340, "12.3k"), (999_999, "1M"), (4.5e9, "4.5G")]
)
def test_compact(value, text):
    assert compact(value) == text


def test_style_does_not_grow_with_each_figure():
    sizes = [in_slide_style() for _ in range(2)]
    assert sizes[0] == sizes[1] > matplotlib.rcParamsDefault["font.size"]


def in_slide_style():
    with styled("slide"):
        return new_figure(5, "slide")[1].xaxis.label.get_size()


def test_the_users_matplotlib_stays_as_it_is(tmp_path):
    before = dict(matplotlib.rcParams)
    content, options = document("copies")
    figure("copies", content, **options).savefig(tmp_path / "figure.png")
    assert dict(matplotlib.rcParams) == before


def test_prices_that_are_assumed_say_so():
    content, _ = document("cost")
    legend = [text.get_text() for text in figure("cost", content).legends[0].get_texts()]
    assert "copy [2.35 µs]" in legend or "copy [2.36 µs]" in legend
    assert "LRU drain [1 µs, assumed]" in legend
    assert "swap write [100 µs, assumed]" in legend


def test_means_are_called_means():
    content, _ = document("copies")
    assert figure("copies", content).get_suptitle() == content.title
    several = Document([row("linux-5.10", seed) for seed in (1, 2, 3)])
    assert figure("copies", several).get_suptitle().endswith("; means of 3 seeds (whiskers: 95 % interval)")


def test_policies_are_in_their_order_whichever_run_finished_first():
    several = Document([row(name) for name in ("mine", "sole-owner", "linux-6.18", "linux-5.10")])
    labels = [label.get_text() for label in figure("copies", several).axes[0].get_yticklabels()]
    assert labels == ["linux-5.10", "linux-6.18", "sole-owner", "mine"]


def test_command_offers_every_kind():
    from cowfast.cli.plot import EPILOG
    from cowfast.cli.plot import KINDS as OFFERED

    assert set(OFFERED) == set(KINDS)
    for kind in KINDS.values():
        assert f"  {kind.name} " in EPILOG
        assert all(f"{option}=" in EPILOG for option in kind.options)
