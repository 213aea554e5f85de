"""Write the front matter of a model card, from which the Hugging Face Hub reads its metadata."""

from __future__ import annotations

from typing import Any

import yaml

# The licences of data that this project knows, by the names of the Hub.
LICENCES = {"CC BY 4.0": "cc-by-4.0", "CC BY-SA 3.0": "cc-by-sa-3.0"}


def front_matter(manifest: dict[str, Any]) -> str:
    """Return the block of YAML, with the measured accuracy of each file.

    A network that was trained on a public dataset alone has the licence of this data, if it is
    known. Of others, such as those that began with trained weights, the licence is ``unknown`` and
    no dataset is named. The keys are those of https://huggingface.co/docs/hub/model-cards.

    Args:
        manifest: the bundle's manifest.
    """
    data = manifest["data"]
    result = {
        "task": {"type": "image-classification"},
        "dataset": {"name": data["name"], "type": data["name"], "split": "test"},
        "metrics": [
            {
                "type": "accuracy",
                "name": f"accuracy of {each['file']}",
                "value": each["test_correct"] / each["test_count"],
            }
            for each in manifest["artifacts"]
        ],
    }
    run = manifest["origin"].get("run")
    # Other weights or networks may have learned from other images.
    is_alone = run and not run["start"] and not run["teachers"]
    learned = run["data"] if is_alone and run["data"]["homepage"] else None
    facts = {
        "license": LICENCES.get(learned["licence"], "unknown") if learned else "unknown",
        "pipeline_tag": "image-classification",
        **({"datasets": [learned["name"]]} if learned else {}),
        "model-index": [{"name": manifest["model"], "results": [result]}],
    }
    return f"---\n{yaml.safe_dump(facts, sort_keys=False)}---\n"
