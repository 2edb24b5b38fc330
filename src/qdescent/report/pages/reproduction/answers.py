"""The five answers of a reproduction, as sentences that its rows make."""

from __future__ import annotations

from dataclasses import dataclass

from qdescent._evidence import Row
from qdescent.report.record import Record
from qdescent.rows import names
from qdescent.rows.collection import MissingRowError
from qdescent.rows.numbers import number, percent, times

FIRST = "step-0"  # right after pruning
GUESSING = 1.5  # times the accuracy of guessing among ten: below, nothing was learnt


@dataclass(frozen=True)
class Answer:
    """One question and what the rows say.

    Args:
        question: in a few words.
        text: the answer, its numbers those of `rows`.
        rows: that it rests on.
    """

    question: str
    text: str
    rows: tuple[Row, ...]


def answers(record: Record) -> list[Answer]:
    """Those answers for which the record has rows."""
    found = []
    for answer in (_trained, _dissipation, _window, _reupload, _sparse, _price):
        try:
            found.append(answer(record))
        except MissingRowError:
            continue
    return found


def _trained(record: Record) -> Answer:
    """Whether there is anything to be measured."""
    rows = record.rows
    dense, kept, total = (
        rows[name] for name in (names.DENSE_ACCURACY, names.NETWORK_KEPT, names.NETWORK_PARAMETERS)
    )
    learnt = dense.number >= GUESSING / 10
    text = (
        f"The network labels {percent(dense.number, 3)} of the test images correctly before"
        f" pruning, and keeps {number(kept.value)} of its {number(total.value)} weights."
    )
    if not learnt:
        text += " It has learnt nothing: what follows says nothing of a trained network."
    if kept.number == total.number:
        text += " Nothing was pruned: all weights are counted."
    return Answer("What was measured?", text, (dense, kept, total))


def _dissipation(record: Record) -> Answer:
    """Before pruning, right after, and at the last spectrum."""
    rows = record.rows
    steps = spectrum_steps(record)
    places = [*(["dense"] if "spectrum/dense/lambda_min" in rows else []), FIRST]
    if steps[-1:] not in ([], [0]):
        places.append(f"step-{steps[-1]}")
    clauses, used = [], []
    for place in places:
        low, growth, most, verdict = (
            rows[names.during(place, name)]
            for name in (
                names.LAMBDA_MIN,
                names.GROWTH_A_STEP,
                names.GROWING_AT_MOST,
                names.DISSIPATION_VERDICT,
            )
        )
        said = str(verdict.value).partition(":")[0]
        clauses.append(
            f"{_when(place)}: {said}; least eigenvalue {number(low.number, 3)}, fastest mode"
            f" {number(growth.number, 6)} a step, at most {percent(most.number, 3)} of the modes"
            " grow"
        )
        used += [low, growth, most, verdict]
    text = ". ".join([*clauses, *_trend(places, [row.number for row in used[1::4]])]) + "."
    return Answer("Does dissipation rise after pruning?", text, tuple(used))


def _trend(places: list[str], growths: list[float]) -> list[str]:
    """How the fastest mode changes from place to place, as one sentence."""
    how = {"dense": "by pruning", FIRST: "by fine-tuning"}
    changes = [
        f"{'slower' if later < before else 'faster'} {how[place]}"
        for place, before, later in zip(places, growths, growths[1:], strict=False)
    ]
    return [f"The fastest mode grows {' and '.join(changes)}"] if changes else []


def _window(record: Record) -> Answer:
    """The first curve of the truncation table at each rate, and where E(t) turns."""
    rows = record.rows
    turning = rows[f"window/proxy/{FIRST}/minimum"]
    crossed = rows[f"window/proxy/{FIRST}/above_1"]
    curve = rows[names.during(FIRST, names.PROXY_ALL)].curve
    inside = crossed.number < len(curve) - 1
    text = f"By the proxy over all weights, E(t) is least at step {number(turning.value)} and" + (
        f" passes 1 at step {number(crossed.value)}."
        if inside
        else f" stays below 1 for all {len(curve) - 1} steps looked at."
    )
    used = [turning, crossed]
    for rule in rules(record, FIRST):
        highest = list(record.rows.section(f"window/true/{FIRST}/{rule}/"))
        steps = ", ".join(
            f"{number(row.value)} at order {row.name.rpartition('_')[2]}" for row in highest
        )
        text += f" True error below 1 % {rule_in_words(rule)}: steps {steps}."
        used += highest
    return Answer("How long is the early window?", text, tuple(used))


def _reupload(record: Record) -> Answer:
    """The distance at the end against the length of a segment."""
    found = [row for row in record.rows.section("reupload/") if row.name.endswith("/error")]
    if not found:
        raise MissingRowError("reupload/", ())
    segment = record.rows[found[0].name.removesuffix("error") + "segment"]
    pairs = sorted(zip(segment.curve, found[0].curve, strict=True))
    listed = ", ".join(f"{number(k)} steps: {number(error, 3)}" for k, error in pairs)
    ratio = pairs[-1][1] / pairs[0][1] if pairs[0][1] else float("inf")
    text = (
        f"Error after {number(pairs[-1][0])} steps at order 2 with segments of {listed}: the"
        f" shortest leaves {times(ratio)} less. Each re-upload is a readout more."
    )
    return Answer("Does re-upload help?", text, (segment, found[0]))


def _sparse(record: Record) -> Answer:
    rows = record.rows
    above = rows[names.row_entries(names.ABOVE_ONE_THOUSANDTH, "mean")]
    carrying = rows[names.row_entries(names.CARRYING_99_PERCENT, "mean")]
    kept = rows[names.NETWORK_KEPT]
    text = (
        f"A row of the Hessian over {number(kept.value)} kept weights has"
        f" {number(above.number, 3)} entries above a thousandth of its largest, and"
        f" {number(carrying.number, 3)} carry 99 % of its squared norm. The theorem asks for a"
        " number that does not grow with the network."
    )
    used = [above, carrying, kept]
    if names.NEEDED_FOR_1_PERCENT in rows:
        needed, part = rows[names.NEEDED_FOR_1_PERCENT], rows[names.NEEDED_WEIGHTS]
        text += (
            f" On a restriction to {number(part.value)} weights a segment within 1 % needs"
            f" {number(needed.number, 3)} entries a row."
        )
        used += [needed, part]
    return Answer("Is the sparse model sparse?", text, tuple(used))


def _price(record: Record) -> Answer:
    rows = record.rows
    ratio = rows[names.LEDGER + names.TIME_RATIO]
    verdict = rows[names.LEDGER + names.VERDICT_TEXT]
    text = f"One round takes {times(ratio.number)} the classical time. {verdict.value}"
    return Answer("What would it cost?", text, (ratio, verdict))


def spectrum_steps(record: Record) -> list[int]:
    """The steps after pruning at which the record has a spectrum."""
    found = [
        row.name.split("/")[1].removeprefix("step-")
        for row in record.rows.section("spectrum/step-")
        if row.name.endswith("/lambda_min")
    ]
    return sorted(int(step) for step in found)


def rules(record: Record, where: str) -> list[str]:
    """The rules of descent in the truncation table at one point, as the rows name them."""
    found = [row.name.split("/")[3] for row in record.rows.section(f"window/true/{where}/")]
    return list(dict.fromkeys(found))


def rule_in_words(rule: str) -> str:
    """A rule of descent as a reader would call it.

    Example:
        >>> rule_in_words("eta-0.02"), rule_in_words("authors-fresh-batches")
        ('at η = 0.02', "by the authors' rule on fresh batches")
    """
    kind, _, rest = rule.partition("-")
    return (
        f"at η = {rest}" if kind == "eta" else f"by the authors' rule on {rest.replace('-', ' ')}"
    )


def _when(place: str) -> str:
    if place == "dense":
        return "Before pruning"
    step = place.removeprefix("step-")
    return "Right after pruning" if step == "0" else f"After {step} steps of fine-tuning"
