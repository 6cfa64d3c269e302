"""The model registry and what serves from it: `registry register|alias|pin|digest|state|rollback|drill`.

registry register --run RUN [--copy-tags TAG,...]    a version from a run, made if there is none
registry alias NAME --run RUN | --version N | --delete
registry pin [DEPLOYMENT] [--version N]              the champion's number (or N) into the Deployment, and wait for it
registry digest --served                             the bytes that serve against the bytes in the registry
registry state                                       which version champion, rollback, Deployment and server name
registry history                                     promotions and rollbacks, and by which verdict (lab retraining)
registry rollback --reason TEXT                      back to the version that served before, with a trail
registry drill [--candidate RUN]                     promotes and rolls back, then restores what was before
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from lab.contract import MODEL_NAME

from labtools import deployment, lifecycle, output, serving
from labtools.errors import ToolError
from labtools.mlflow_api import Registry
from labtools.output import Result


def parser() -> output.Parser:
    top = output.Parser(prog="registry", description="The model registry and what serves from it.")
    commands = top.add_subparsers(dest="command", required=True, parser_class=output.Parser, metavar="COMMAND")

    register = commands.add_parser("register", help="make a version of the model from a run")
    register.add_argument("--run", required=True, help="name of a finished run")
    register.add_argument("--copy-tags", default="", metavar="TAG,...", help="tags of the run that the version gets")

    alias = commands.add_parser("alias", help="point an alias to a version")
    alias.add_argument("name")
    target = alias.add_mutually_exclusive_group(required=True)
    target.add_argument("--run", help="the newest version that was made from this run")
    target.add_argument("--version", help="a version number")
    target.add_argument("--delete", action="store_true", help="take the alias away")

    pin = commands.add_parser("pin", help="pin a Deployment to the champion's number and wait for its pods")
    pin.add_argument("deployment", nargs="?", default=deployment.NAME)
    pin.add_argument("--version", help="another version than the champion")

    digest = commands.add_parser("digest", help="compare the bytes that serve with those in the registry")
    digest.add_argument("--served", action="store_true", required=True, help="of the version that the Deployment is pinned to")

    commands.add_parser("state", help="which version registry, Deployment and server name")

    commands.add_parser("history", help="promotions and rollbacks, and by which verdict")

    rollback = commands.add_parser("rollback", help="return to the version that served before")
    rollback.add_argument("--reason", required=True, help=f"why, in at least {lifecycle.REASON_LENGTH} characters")

    drill = commands.add_parser("drill", help="promote a candidate, roll it back, restore what was before")
    drill.add_argument("--candidate", default="spring-lr", help="name of a finished run (spring-lr)")
    return top


def run(options: argparse.Namespace) -> Result:
    registry = Registry()
    match options.command:
        case "register":
            return register(registry, options.run, [tag for tag in options.copy_tags.split(",") if tag])
        case "alias":
            return alias(registry, options)
        case "pin":
            return pin(registry, options.deployment, options.version)
        case "digest":
            return digest(registry)
        case "state":
            return state(registry)
        case "rollback":
            return rollback(registry, options.reason)
        case "history":
            from retraining import history

            return history.run(registry)
        case _:
            from labtools import drill

            return drill.run(registry, options.candidate)


def register(registry: Registry, name: str, tags: Sequence[str]) -> Result:
    source = registry.find_run(name)
    version, created = lifecycle.register(registry, source, tags)
    done = "made" if created else "there already"
    copied = f", with the run's {', '.join(tags)}" if tags else ""
    text = f"version {version.number} of {MODEL_NAME} from run {name}: {done}{copied}"
    return Result({"version": version.number, "run": name, "created": created, "tags": dict(version.tags)}, text)


def alias(registry: Registry, options: argparse.Namespace) -> Result:
    if options.delete:
        if options.name in registry.aliases():
            registry.delete_alias(options.name)
        return Result({"alias": options.name, "version": None}, f"alias {options.name} is gone")
    number = options.version
    if options.run:
        version = registry.version_of(registry.find_run(options.run))
        if version is None:
            raise ToolError(f"no READY version of {MODEL_NAME} comes from run {options.run}")
        number = version.number
    registry.set_alias(options.name, number)
    return Result({"alias": options.name, "version": number}, f"alias {options.name}: version {number}")


def pin(registry: Registry, name: str, wanted: str | None) -> Result:
    number = registry.version(wanted).number if wanted else registry.aliases().get(lifecycle.CHAMPION)
    if number is None:
        raise ToolError(f"alias {lifecycle.CHAMPION} is not set, and no --version is given")
    output.say(f"pinning Deployment {name} to version {number}")
    serving.pin(number, name)
    data = {"version": number, "uri": deployment.uri(number), "deployment": name}
    return Result(data, f"Deployment {name} serves {deployment.uri(number)}")


def digest(registry: Registry) -> Result:
    """Compares the digests of the pinned version; one that can't be named (nothing pinned, nothing serves) is None."""
    from labtools.candidates import sha256

    with ThreadPoolExecutor() as pool:
        replicas = pool.submit(serving.replicas)
        pinned = deployment.pin_of(deployment.find())
        stored = sha256(registry.version_bytes(pinned.version)) if pinned.version else None
        found = replicas.result()
    digests = {item.digest for item in found}
    agree = len(digests) == 1 and None not in digests
    served = found[0].digest if agree else None
    data = {"version": pinned.version, "served_sha256": served, "registry_sha256": stored, "replicas_agree": agree, "replicas": len(found)}
    lines = [f"version   {pinned.version or f'none: the Deployment loads {pinned.uri}'}", f"registry  {stored or '-'}"]
    lines += [f"served    {item.digest or '-'}  version {item.version or '-'}, pod {item.pod}" for item in found] or ["served    - (no pod is ready)"]
    return Result(data, "\n".join(lines))


def state(registry: Registry) -> Result:
    found = serving.state(registry)
    numbers = {"champion": found.champion, "rollback": found.rollback, "pinned": found.pinned, "served": found.served}
    names = {number: registry.run_name(number) for number in {number for number in numbers.values() if number}}
    runs = {where: names.get(number or "") for where, number in numbers.items()}
    lines = [f"{where:9} {number or '-':4} {runs[where] or ''}".rstrip() for where, number in numbers.items()]
    return Result({**numbers, "uri": found.uri, "runs": runs}, "\n".join([*lines, f"MODEL_URI {found.uri or '-'}"]))


def rollback(registry: Registry, reason: str) -> Result:
    done = lifecycle.roll_back(registry, reason)
    output.say(f"champion is version {done.returned_to}; waiting for the Deployment")
    repinned = serving.pin(done.returned_to)
    changed = done.changed or repinned
    data = {"from": done.withdrawn, "to": done.returned_to, "reason": done.reason, "changed": changed}
    did = "rolled back" if changed else "was rolled back already"
    return Result(data, f"{did} from version {done.withdrawn} to {done.returned_to}: {done.reason}")


def main(arguments: Sequence[str] | None = None) -> int:
    commands = parser()
    options = commands.parse_args(arguments)
    if options.command == "rollback" and len(options.reason.strip()) < lifecycle.REASON_LENGTH:
        commands.error(f"--reason must say in at least {lifecycle.REASON_LENGTH} characters why")
    return output.main(options, run)


if __name__ == "__main__":
    sys.exit(main())
