"""Makes the seed of the model-registry lab by doing the real thing once: `record.py TARGET`, in a build stage only.

It trains every recipe, records the runs, and registers the first version. The artifacts lie in TARGET/buckets as the buckets
will hold them.
"""

from __future__ import annotations

import sys
from pathlib import Path

import recorder

FIRST_VERSION = "winter-noweather"


def record(buckets: Path, address: str) -> None:
    import mlflow
    from lab import contract, data, tracking, train

    mlflow.set_tracking_uri(address)
    mlflow.set_experiment(recorder.EXPERIMENT)
    digest = data.digest()
    for recipe in train.RECIPES:
        result = train.fit(recipe)
        if abs(result.metrics["auc"] - recipe.auc) > train.TOLERANCE:
            raise SystemExit(f"{recipe.name}: AUC is {result.metrics['auc']:.4f}, the labs rely on {recipe.auc}")
        recorder.set_clock(recipe.recorded)
        with_source = {"mlflow.user": recipe.tags["author"], "mlflow.source.name": "lab.train"}
        made = tracking.log(recipe, result, digest, with_source)
        recorder.advance(60)
        if recipe.name == FIRST_VERSION:
            tags = tracking.lineage_tags(recipe, digest) | {"model_digest": made.model_digest}
            mlflow.register_model(f"models:/{made.model_id}", contract.MODEL_NAME, tags={name: tags[name] for name in recorder.VERSION_TAGS})
        recorder.copy_by_digest(buckets, made.model_digest)
        print(f"{recipe.name}: AUC {result.metrics['auc']:.4f}, model {made.model_digest}")


if __name__ == "__main__":
    recorder.run(Path(sys.argv[1]) / "buckets", "2013-04-01T07:00:00Z", record)
