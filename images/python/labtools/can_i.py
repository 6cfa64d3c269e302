"""What a ServiceAccount may do in the lab's namespace: `can-i --sa promoter`.

It posts a LocalSubjectAccessReview per case, for the ServiceAccount and the groups that each of them is in, so it needs no
impersonation: the right to create these reviews is a namespaced one.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from labtools import kubernetes, output
from labtools.errors import ToolError
from labtools.output import Result


@dataclass(frozen=True)
class Case:
    """One question with its right answer. The resource may name a subresource, such as pods/exec. No name means any object; `*` is all."""

    verb: str
    group: str
    resource: str
    name: str
    expected: bool
    words: str


TABLES: Final[Mapping[str, Sequence[Case]]] = {
    "promoter": (
        Case("get", "apps", "deployments", "predictor", True, "it reads what it is about to patch"),
        Case("patch", "apps", "deployments", "predictor", True, "it pins the Deployment that serves"),
        Case("delete", "apps", "deployments", "predictor", False, "a promotion never deletes"),
        Case("patch", "apps", "deployments", "mlflow", False, "the registry is not its business"),
        Case("patch", "apps", "deployments", "workbench", False, "nor is the workbench"),
        Case("patch", "apps", "deployments", "", False, "only one Deployment is its business"),
        Case("create", "apps", "deployments", "", False, "it makes no Deployments"),
        Case("get", "", "secrets", "", False, "it reads no passwords"),
        Case("create", "", "serviceaccounts/token", "", False, "it becomes nobody else"),
        Case("create", "rbac.authorization.k8s.io", "rolebindings", "", False, "it gives no rights away"),
        Case("patch", "", "configmaps", "", False, "it does not write the policy that judges"),
        Case("get", "", "configmaps", "", False, "its policy is mounted, it asks for none"),
        Case("create", "batch", "jobs", "", False, "it starts nothing"),
        Case("create", "", "pods", "", False, "it makes no pods by hand"),
        Case("create", "", "pods/exec", "", False, "it enters no pod"),
        Case("get", "", "pods/exec", "", False, "it enters no pod by a WebSocket"),
        Case("list", "", "pods", "", False, "it does not look around"),
        Case("*", "*", "*", "", False, "it is no administrator"),
    ),
    "trigger": (
        Case("get", "batch", "cronjobs", "retrain", True, "its Jobs are made from this template"),
        Case("create", "batch", "jobs", "", True, "an alert becomes a Job"),
        Case("delete", "batch", "jobs", "", False, "it never ends what runs"),
        Case("get", "", "secrets", "", False, "it reads no passwords"),
        Case("patch", "apps", "deployments", "", False, "what serves is not its business"),
        Case("create", "", "pods", "", False, "it runs nothing but the template"),
        Case("patch", "batch", "cronjobs", "retrain", False, "it does not change what its Jobs run"),
        Case("create", "", "pods/exec", "", False, "it enters no pod"),
        Case("create", "rbac.authorization.k8s.io", "rolebindings", "", False, "it gives no rights away"),
        Case("create", "", "serviceaccounts/token", "", False, "it becomes nobody else"),
        Case("*", "*", "*", "", False, "it is no administrator"),
    ),
    # There are several ways to roll back, so what is not asked here is left open.
    "rollback": (
        Case("get", "", "configmaps", "gateway-routes", True, "it reads the weights that it is about to change"),
        Case("patch", "", "configmaps", "gateway-routes", True, "it takes the traffic from the canary"),
        Case("patch", "", "configmaps", "release-log", True, "it leaves a trail"),
        Case("patch", "", "configmaps", "canary-gate", False, "it does not write the gate that judges"),
        Case("delete", "", "configmaps", "", False, "a rollback deletes no settings"),
        Case("get", "", "secrets", "", False, "it reads no passwords"),
        Case("patch", "apps", "deployments", "", False, "most Deployments are not its business"),
        Case("delete", "apps", "deployments", "", False, "a rollback deletes nothing that serves"),
        Case("patch", "batch", "cronjobs", "rollback", False, "it does not change what its Jobs run"),
        Case("create", "batch", "jobs", "", False, "it starts nothing"),
        Case("create", "", "pods", "", False, "it makes no pods by hand"),
        Case("create", "", "pods/exec", "", False, "it enters no pod"),
        Case("create", "rbac.authorization.k8s.io", "rolebindings", "", False, "it gives no rights away"),
        Case("create", "", "serviceaccounts/token", "", False, "it becomes nobody else"),
        Case("*", "*", "*", "", False, "it is no administrator"),
    ),
}


def parser() -> output.Parser:
    top = output.Parser(prog="can-i", description="What a ServiceAccount may do, and what it should be able to do.")
    top.add_argument("--sa", required=True, choices=sorted(TABLES), help="name of the ServiceAccount")
    return top


def review(account: str, namespace: str, case: Case) -> dict[str, Any]:
    """Returns the question as the API server takes it."""
    resource, _, subresource = case.resource.partition("/")
    attributes = {"namespace": namespace, "verb": case.verb, "group": case.group, "resource": resource, "subresource": subresource, "name": case.name}
    groups = ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"]
    subject = {"user": f"system:serviceaccount:{namespace}:{account}", "groups": groups}
    return {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "LocalSubjectAccessReview",
        "metadata": {"namespace": namespace},
        "spec": {**subject, "resourceAttributes": attributes},
    }


def run(options: argparse.Namespace) -> Result:
    table = TABLES[options.sa]
    namespace = kubernetes.namespace()
    answers = kubernetes.create(review(options.sa, namespace, case) for case in table)
    if len(answers) != len(table):
        raise ToolError(f"{len(table)} questions were asked and {len(answers)} were answered")
    cases: list[dict[str, str]] = []
    lines = []
    for case, answer in zip(table, answers, strict=True):
        found, expected = ("yes" if holds else "no" for holds in (answer["status"].get("allowed", False), case.expected))
        cases.append({"verb": case.verb, "resource": case.resource, "name": case.name, "found": found, "expected": expected, "words": case.words})
        what = f"{case.verb} {case.resource}{f'/{case.name}' if case.name else ''}"
        lines.append(f"{'ok ' if found == expected else 'NOT'} {what:32} {found:3} expected {expected:3}  {case.words}")
    agree = all(case["found"] == case["expected"] for case in cases)
    return Result({"sa": options.sa, "cases": cases, "agree": agree}, "\n".join(lines))


def main(arguments: Sequence[str] | None = None) -> int:
    return output.main(parser().parse_args(arguments), run)


if __name__ == "__main__":
    sys.exit(main())
