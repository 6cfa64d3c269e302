"""The configurations of the lab's solution, and the ways in which they go wrong."""

from __future__ import annotations

DRIFT = """
models:
  flight-delay:
    reference: {from: 2013-01-01, until: 2013-03-16}
    window: 7d
    min_rows: 1000
    group: {dest: 20}
    method: {numeric: wasserstein, categorical: jensenshannon}
    threshold: {floor: 0.1, sd: 3}
  sea:
    reference: {from: 2013-01-01, until: 2013-04-02}
    window: 7d
    min_rows: 1000
    threshold: 0.1
"""

JOIN = """SELECT p.score, l.label, l.request_id IS NOT NULL AS known
      FROM predictions p LEFT JOIN labels l USING (request_id)
      WHERE p.model = %(model)s AND p.event_time >= %(start)s AND p.event_time < %(end)s"""

PERF = f"""
models:
  flight-delay:
    window: 7d
    label_delay: 48h
    labels: |
      {JOIN}
    limits: {{calibration_ratio: [0.667, 1.5]}}
    min_coverage: 0.9
  sea:
    window: 7d
    label_delay: 24h
    labels: |
      {JOIN}
    limits: {{error_rate: [0, 0.15]}}
    min_coverage: 0.9
"""

AS_FOUND = """
models:
  flight-delay:
    reference: {last_rows: 300}
    window: 7d
    threshold: 0.1
"""
