"""The safety net after a promotion: `retrain safety`.

The version that served before scores the same flights as the champion, in a batch and for nobody (a shadow). When it would have
been better in several complete windows in a row, the champion is withdrawn and promotions are frozen for a while. How many
windows, how much better and how long says ConfigMap `safety`, key safety.yaml:

    windows: 2            # in a row
    brierWorseBy: 0.0     # the champion's Brier score minus the shadow's
    freezeDays: 14        # of virtual time
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml
from lab.contract import MODEL_NAME, TARGET
from labtools import kubernetes, lifecycle, output, serving
from labtools.errors import ToolError
from labtools.mlflow_api import Registry, Version
from labtools.output import Result
from monitoring import store, windows
from monitoring.windows import DAY, Window

from retraining import dataset, release

if TYPE_CHECKING:
    from numpy.typing import NDArray

CONFIG_MAP: Final = "safety"
KEY: Final = "safety.yaml"
POLICY_VARIABLE: Final = "SAFETY_POLICY"
KIND: Final = "shadow"
# As for every window: its last labels come two days after it.
LABEL_DELAY: Final = 2 * DAY
NUMBERS: Final[Mapping[str, tuple[float, float]]] = {"windows": (1, 8), "brierWorseBy": (-0.1, 0.1), "freezeDays": (0, 365)}


@dataclass(frozen=True)
class Rules:
    windows: int
    brier_worse_by: float
    freeze_days: int


@dataclass(frozen=True)
class Compared:
    """Champion and shadow on the same flights of one window."""

    window: Window
    rows: int
    brier: float
    brier_shadow: float

    def worse(self, rules: Rules) -> bool:
        return self.brier - self.brier_shadow > rules.brier_worse_by


def policy_text() -> str | None:
    """Returns the rules from where they are mounted, or else from the ConfigMap; None where there are none."""
    if path := os.environ.get(POLICY_VARIABLE):
        return Path(path).read_text() if Path(path).exists() else None
    found = kubernetes.get("configmap", CONFIG_MAP)
    text: str | None = (found or {}).get("data", {}).get(KEY)
    return text


def parse(text: str) -> Rules:
    try:
        given = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ToolError(f"{KEY} can't be read: {error}") from error
    if not isinstance(given, dict) or set(given) != set(NUMBERS):
        raise ToolError(f"{KEY} needs the fields {', '.join(NUMBERS)}, and no others")
    for name, (least, most) in NUMBERS.items():
        if isinstance(given[name], bool) or not isinstance(given[name], int | float) or not least <= given[name] <= most:
            raise ToolError(f"{KEY}: {name} is {given[name]!r}; it must be a number from {least:g} to {most:g}")
    return Rules(int(given["windows"]), float(given["brierWorseBy"]), int(given["freezeDays"]))


def run(*, if_configured: bool) -> Result:
    text = policy_text()
    if text is None and if_configured:
        return Result({"compared": [], "rolled_back": False}, "there is no safety net: ConfigMap safety is not there")
    if text is None:
        raise ToolError(f"there is no ConfigMap {CONFIG_MAP} with key {KEY}")
    rules = parse(text)
    registry = Registry()
    aliases = registry.aliases()
    champion, shadow = aliases.get(lifecycle.CHAMPION), aliases.get(lifecycle.ROLLBACK)
    if champion is not None and finish(registry, champion):
        return Result(
            {"champion": champion, "compared": [], "rolled_back": False, "finished": True},
            f"version {champion} serves again: a rollback to it had been cut off",
        )
    if champion is None or shadow in (None, champion):
        return Result({"champion": champion, "compared": [], "rolled_back": False}, "there is no earlier version to compare with")
    version = registry.version(champion)
    with store.connected() as connection:
        now = store.now(connection)
        begin = release.moment(version.tags.get(release.PROMOTED_AT))
        found = compared(connection, registry, version, str(shadow), complete(begin, now)) if begin else []
    data: dict[str, Any] = {"champion": champion, "shadow": shadow, "compared": [entry(item, rules) for item in found], "rolled_back": False}
    lines = [describe(item, rules) for item in found] or ["no window is complete since the promotion"]
    last = found[-rules.windows :]
    if in_a_row(last, rules.windows) and all(item.worse(rules) for item in last):
        reason = f"worse than version {shadow} in {rules.windows} windows up to {last[-1].window.end:%Y-%m-%d}"
        until = back(registry, champion, now, rules, reason)
        data |= {"rolled_back": True, "reason": reason, "frozen_until": until.isoformat()}
        lines.append(f"rolled back to version {shadow}: {reason}; promotions are frozen until {until:%Y-%m-%d}")
    return Result(data, "\n".join(lines))


def finish(registry: Registry, champion: str) -> bool:
    """Completes a rollback that was cut off after the alias had moved; returns whether that was to be done.

    The alias moves first, so a version that was returned to must serve: until then flights are scored by the withdrawn one.
    """
    if not any(version.tags.get(lifecycle.RETURNED_TO) == champion for version in registry.versions()):
        return False
    if not serving.write_pin(champion, manager=release.MANAGER):
        return False
    output.say(f"champion is version {champion} after a rollback; waiting until it serves")
    release.wait_served(champion)
    return True


def in_a_row(found: list[Compared], count: int) -> bool:
    """Says whether these are so many windows without a gap; a week without flights says nothing, so it ends a row."""
    return len(found) == count and all(one.window.end == other.window.start for one, other in itertools.pairwise(found))


def complete(begin: datetime, now: datetime) -> list[Window]:
    """Returns the windows since the promotion that the champion served alone, and whose labels are there."""
    return [window for window in windows.of_days(begin, now) if window.start >= begin and window.end + LABEL_DELAY <= now]


def compared(connection: Any, registry: Registry, champion: Version, shadow: str, wanted: list[Window]) -> list[Compared]:
    """Compares window by window; what was compared before is in the table."""
    query = "SELECT window_start, data FROM window_runs WHERE kind = %s AND model = %s AND data->>'champion' = %s AND data->>'shadow' = %s"
    known = dict(store.rows(connection, query, (KIND, MODEL_NAME, champion.number, shadow)))
    model = None
    found = []
    for window in wanted:
        data = known.get(window.start)
        if data is None:
            if model is None:
                from labtools import score

                model = score.load(shadow, registry.version_bytes(shadow))
            data = measure(connection, model, champion.number, window)
            if data is None:
                output.say(f"{window.start:%Y-%m-%d}: version {champion.number} scored no flight that has a label")
                continue
            save(connection, window, {**data, "champion": champion.number, "shadow": shadow})
        found.append(Compared(window, data["rows"], data["brier"], data["brier_shadow"]))
    return found


def measure(connection: Any, model: Any, champion: str, window: Window) -> dict[str, Any] | None:
    """Scores a window's flights with the shadow, and reads what the champion said about them."""
    from lab import contract

    query = "SELECT request_id, score FROM predictions WHERE model = %s AND model_version = %s AND event_time >= %s AND event_time < %s"
    logged = dict(store.rows(connection, query, (MODEL_NAME, champion, window.start, window.end)))
    rows = dataset.load(connection, window.start.date(), (window.end - DAY).date(), window.end + LABEL_DELAY).rows
    rows = rows[rows["request_id"].isin(logged.keys())]
    if not len(rows):
        return None
    columns = list(model.feature_names_in_)
    frame = rows[columns].astype({name: "float64" for name in columns if name not in contract.CATEGORICAL})
    late = rows[TARGET].to_numpy("float64")
    return {
        "rows": len(rows),
        "brier": brier(late, rows["request_id"].map(logged).to_numpy("float64")),
        "brier_shadow": brier(late, model.predict_proba(frame)[:, 1]),
    }


def brier(late: NDArray[Any], scores: NDArray[Any]) -> float:
    return float(((scores - late) ** 2).mean())


def save(connection: Any, window: Window, data: Mapping[str, Any]) -> None:
    statement = (
        "INSERT INTO window_runs (kind, model, window_start, window_end, data) VALUES (%s, %s, %s, %s, %s)"
        " ON CONFLICT (kind, model, window_start) DO UPDATE SET data = excluded.data, judged_at = now()"
    )
    store.run(connection, statement, (KIND, MODEL_NAME, window.start, window.end, json.dumps(data)))


def back(registry: Registry, champion: str, now: datetime, rules: Rules, reason: str) -> datetime:
    """Freezes promotions first, so that none slips in between, then returns to the version that served before."""
    until = release.freeze(now, rules.freeze_days, reason)
    lifecycle.set_tag(registry, registry.version(champion), release.ROLLED_BACK_AT, now.isoformat())
    done = lifecycle.roll_back(registry, reason)
    serving.write_pin(done.returned_to, manager=release.MANAGER)
    release.wait_served(done.returned_to)
    return until


def entry(item: Compared, rules: Rules) -> dict[str, Any]:
    days = {"window_start": item.window.start.date().isoformat(), "window_end": item.window.end.date().isoformat()}
    return {**days, "rows": item.rows, "brier": item.brier, "brier_shadow": item.brier_shadow, "worse": item.worse(rules)}


def describe(item: Compared, rules: Rules) -> str:
    word = "worse" if item.worse(rules) else "fine"
    return f"{item.window.start:%Y-%m-%d}: Brier {item.brier:.4f}, shadow {item.brier_shadow:.4f}, {item.rows} flights, {word}"
