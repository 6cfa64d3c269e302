"""A stand-in for kubectl: keeps a small cluster in a file (FAKE_CLUSTER) and does to it what the tools ask for.

A Job that is created is run at once, as the process that its container names; a Deployment is rolled out at once.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

STATE = Path(os.environ["FAKE_CLUSTER"])
ME = os.environ.get("FAKE_ACCOUNT", "workbench")


@contextmanager
def cluster():
    with STATE.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        state = json.loads(STATE.read_text())
        yield state
        # In one step, since tests read it without the lock.
        STATE.with_suffix(".new").write_text(json.dumps(state))
        STATE.with_suffix(".new").replace(STATE)


def fail(text):
    print(text, file=sys.stderr)
    sys.exit(1)


def option(name):
    return next((argument.split("=", 1)[1] for argument in sys.argv if argument.startswith(f"--{name}=")), None)


def get(words):
    with cluster() as state:
        if ME == "promoter" and words[1:] != ["deployment", "predictor"]:
            fail(f'Error from server (Forbidden): {words[1]} is forbidden: User "promoter" cannot get')
        if selector := option("selector"):
            wanted = dict(pair.split("=") for pair in selector.split(","))
            items = [item for item in state[words[1]].values() if wanted.items() <= item["metadata"]["labels"].items()]
            return print(json.dumps({"kind": "List", "items": items}))
        found = state.get(words[1], {}).get(words[2])
        return print(json.dumps(found)) if found else None


def merge_named(old, new):
    by_name = {item["name"]: item for item in old}
    for item in new:
        if item.get("$patch") == "delete":
            by_name.pop(item["name"], None)
            continue
        merged = {**by_name.get(item["name"], {}), **item}
        if "env" in item:
            merged["env"] = merge_named(by_name.get(item["name"], {}).get("env", []), item["env"])
        by_name[item["name"]] = {key: value for key, value in merged.items() if value is not None}
    return list(by_name.values())


def patch(words):
    with cluster() as state:
        if ME == "promoter" and not state["rights"]["promoter"]:
            fail('Error from server (Forbidden): deployments.apps "predictor" is forbidden: User "promoter" cannot patch')
        state["patches"].append([ME, option("field-manager"), option("dry-run")])
        if option("dry-run"):
            return
        template = state[words[1]][words[2]]["spec"]["template"]
        change = json.loads(option("patch"))["spec"]["template"]
        labels = {**template["metadata"]["labels"], **change["metadata"]["labels"]}
        template["metadata"]["labels"] = {key: value for key, value in labels.items() if value is not None}
        template["spec"]["containers"] = merge_named(template["spec"]["containers"], change["spec"]["containers"])


def create():
    for item in json.load(sys.stdin)["items"]:
        if item["kind"] == "LocalSubjectAccessReview":
            asked = item["spec"]["resourceAttributes"]
            with cluster() as state:
                item["status"] = {"allowed": [asked["verb"], asked["resource"], asked["name"]] in state["allowed"]}
        else:
            name = item["metadata"]["name"]
            with cluster() as state:
                if name in state["job"]:
                    fail(f'Error from server (AlreadyExists): jobs.batch "{name}" already exists')
                state["job"][name] = {**item, "status": {}}
                state["created"].append(name)
            run_job(name, item)
        print(json.dumps(item))


def run_job(name, item):
    container = item["spec"]["template"]["spec"]["containers"][0]
    environment = {entry["name"]: entry["value"] for entry in container["env"]}
    command = [sys.executable, *container["args"]]
    done = subprocess.run(command, env={**os.environ, **environment, "FAKE_ACCOUNT": "promoter"}, capture_output=True, text=True, check=False)
    with cluster() as state:
        kind = "Complete" if done.returncode == 0 else "Failed"
        state["job"][name]["status"] = {"conditions": [{"type": kind, "status": "True"}]}
        state["logs"][name] = f"{done.stderr}{done.stdout}"


def main():
    if option("request-timeout"):
        fail("The connection to the server localhost:8080 was refused - did you specify the right host or port?")
    words = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    match words[0]:
        case "get":
            get(words)
        case "patch":
            patch(words)
        case "create":
            create()
        case "apply":
            with cluster() as state:
                item = json.load(sys.stdin)
                state.setdefault(item["kind"].lower(), {})[item["metadata"]["name"]] = item
        case "delete":
            with cluster() as state:
                del state[words[1]][words[2]]
        case "logs":
            with cluster() as state:
                print(state["logs"][words[1].removeprefix("job/")])
        case "rollout":
            with cluster() as state:
                if state["stuck"]:
                    fail("error: timed out waiting for the condition")
        case _:
            fail(f"error: unknown command {words[0]}")


main()
