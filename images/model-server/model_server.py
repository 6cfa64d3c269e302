"""Serves a model over HTTP: `python3 -m model_server`.

The model is loaded before the port opens, so a server that answers is a server that predicts, and a probe never sees a
false Ready. A registry that does not answer yet is waited for; a model that can't be served ends the program.

Many servers do it the other way round, and LOAD_AFTER_LISTEN makes this one do so: the port opens at once and the model
follows. Until then KServe's SDK says 200 on /, /v2/health/live and /v2/health/ready, which speak of the server, and 503 on
/v2/models/NAME/ready and /v2/models/NAME/infer, which speak of the model.

Environment:

    MODEL_URI             which model; the forms are in registry.py. Names that move are resolved once, at the start
    MODEL_NAME            the name in the paths and metrics; default flight-delay
    MODEL_WAIT_SECONDS    how long to wait for the registry or the object store; default 600
    MORE_MODELS           further models for the same process, NAME=URI separated by spaces; default none
    LOG_PREDICTIONS       postgres: each row goes into the table `predictions` (PGHOST, PGDATABASE and so on); default off
    LOAD_AFTER_LISTEN     seconds between the opening of the port and the loading of the model; default 0: load first
    PORT                  where to listen; default 8080
    MLFLOW_TRACKING_URI   the registry; default http://mlflow:5000
    AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY   the object store, for s3:// only

It is not for several workers: a lab scales by pods.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import importlib.util
import logging
import os
import pickle
import signal
import socket
import sys
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

import registry

if TYPE_CHECKING:
    from prediction_log import PredictionLog

logger = logging.getLogger("model_server")

# Requests under way at a stop; by then /drain has seen that there are no new ones.
GRACE_SECONDS: Final = 5
# So many looks in a row without a new request, and so many at most.
DRAIN_POLL_SECONDS: Final = 0.25
DRAIN_QUIET_POLLS: Final = 10
DRAIN_POLLS: Final = 80
# How often a server that listens first looks whether it does.
LISTEN_POLL_SECONDS: Final = 0.1
# What the labs' models are made of, imported while the registry may still be starting.
MODEL_MODULES: Final = ("sklearn.compose", "sklearn.linear_model")


@dataclass(frozen=True)
class Settings:
    """What the environment asks for."""

    uri: str
    name: str
    wait_seconds: float
    port: int
    tracking_uri: str
    load_after_listen: float
    more: tuple[tuple[str, str], ...] = ()
    log: bool = False

    @staticmethod
    def read(env: Mapping[str, str]) -> Settings:
        numbers = {"MODEL_WAIT_SECONDS": "600", "PORT": "8080", "LOAD_AFTER_LISTEN": "0"}
        for name in numbers:
            numbers[name] = env.get(name, numbers[name])
            if not numbers[name].isdecimal():
                raise registry.ModelError(f"{name} is {numbers[name]!r}; it must be a whole number")
        more = [tuple(pair.split("=", 1)) for pair in env.get("MORE_MODELS", "").split()]
        if wrong := [pair for pair in more if len(pair) != 2 or not all(pair)]:
            raise registry.ModelError(f"MORE_MODELS has {wrong[0][0]!r}; it must be NAME=URI, separated by spaces")
        if (log := env.get("LOG_PREDICTIONS") or "off") not in ("off", "postgres"):
            raise registry.ModelError(f"LOG_PREDICTIONS is {log!r}; it must be postgres or off")
        return Settings(
            uri=env.get("MODEL_URI", ""),
            name=env.get("MODEL_NAME", "flight-delay"),
            wait_seconds=float(numbers["MODEL_WAIT_SECONDS"]),
            port=int(numbers["PORT"]),
            tracking_uri=env.get("MLFLOW_TRACKING_URI", "http://mlflow:5000"),
            load_after_listen=float(numbers["LOAD_AFTER_LISTEN"]),
            more=tuple((name, uri) for name, uri in more),
            log=log == "postgres",
        )


def bare_kserve() -> None:
    """Makes KServe's modules importable without running its `__init__`.

    That imports a client of the Kubernetes API and classes for all of KServe's resources, a second and 40 MB which a server
    has no use for; the image leaves them out.
    """
    spec = importlib.util.find_spec("kserve")
    if spec is None:
        raise registry.ModelError("the KServe SDK is not installed")
    sys.modules.setdefault("kserve", importlib.util.module_from_spec(spec))


def unpickle(stored: registry.Stored) -> Any:
    try:
        pipeline = pickle.loads(stored.content)
    # A damaged pickle can raise anything.
    except Exception as error:
        raise registry.ModelError(f"{registry.MODEL_FILE} of version {stored.version} ({stored.digest}) can't be loaded: {error!r}") from error
    if not hasattr(pipeline, "predict_proba"):
        raise registry.ModelError(f"{registry.MODEL_FILE} of version {stored.version} holds a {type(pipeline).__name__}, not a classifier")
    return pipeline


async def drain(requests: Callable[[], int], pause: float = DRAIN_POLL_SECONDS) -> bool:
    """Waits until requests stop coming, for the Deployment's preStop; returns whether they did.

    A pod that ends still gets requests until every node has taken it out of the Service, which is quick on an idle machine
    and slow on a busy one. A fixed pause would be too long for the first and too short for the second. Looks are counted and
    not seconds, because a process that was not scheduled has not looked.
    """
    quiet, seen = 0, requests()
    for _ in range(DRAIN_POLLS):
        await asyncio.sleep(pause)
        now = requests()
        quiet = quiet + 1 if now == seen else 0
        seen = now
        if quiet == DRAIN_QUIET_POLLS:
            return True
    return False


def named(app: Any, pod: str) -> Any:
    """Makes every answer of an ASGI application name the pod that gave it."""
    header = (b"x-pod", pod.encode())

    async def wrapped(scope: Any, receive: Any, send: Any) -> None:
        async def say(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), header]
            await send(message)

        await app(scope, receive, say)

    return wrapped


def serve(settings: Settings) -> None:
    begin = time.monotonic()
    # Half a million objects that all stay: looking for garbage among them only costs time.
    gc.disable()
    bare_kserve()
    import prediction_log
    from kserve.errors import InvalidInput, ModelNotFound, ModelNotReady
    from kserve.model import Model
    from kserve.model_server import ModelServer, app
    from predictor import Predictor

    for module in MODEL_MODULES:
        importlib.import_module(module)
    # The client is told what it did wrong, or to come back later; a traceback of ours would say nothing more.
    quiet = (InvalidInput, ModelNotFound, ModelNotReady)
    logging.getLogger("kserve").addFilter(lambda record: not (record.exc_info and isinstance(record.exc_info[1], quiet)))
    logger.info("modules loaded in %.1f s", time.monotonic() - begin)
    served: list[Predictor] = []
    log = prediction_log.PredictionLog() if settings.log else None

    def load_one(name: str, uri: str) -> Predictor:
        stored = registry.wait(lambda: registry.fetch(uri, settings.tracking_uri), settings.wait_seconds)
        model = Predictor(name, stored, unpickle(stored), log)
        logger.info("serving %s as version %s, %s, %.1f s after the start", uri, stored.version, stored.digest, time.monotonic() - begin)
        return model

    def load() -> list[Predictor]:
        served.extend(load_one(name, uri) for name, uri in ((settings.name, settings.uri), *settings.more))
        gc.freeze()
        gc.enable()
        return served

    async def drained() -> dict[str, bool]:
        return {"drained": await drain(lambda: sum(model.requests for model in served))}

    app.add_api_route("/drain", drained)
    build = app.build_middleware_stack
    # Around everything, errors too: KServe's handler of the unexpected sits outside of what add_middleware adds.
    app.build_middleware_stack = lambda: named(build(), socket.gethostname())
    server = ModelServer(http_port=settings.port, workers=1, enable_grpc=False, enable_latency_logging=False, grace_period=GRACE_SECONDS)
    if not settings.load_after_listen:
        run(server, load(), log)
        return

    class Pending(Model):  # type: ignore[misc]
        """Holds the name until the model is there. The SDK calls `load` when it is asked for metadata, and its own would say ready."""

        def load(self) -> bool:
            return False

    def follow() -> None:
        wait_for_port(settings.port)
        time.sleep(settings.load_after_listen)
        try:
            for model in load():
                server.register_model(model)
        except registry.ModelError as error:
            logger.error("%s", error)
            # The server has the main thread, and there is nothing that it could serve.
            os._exit(1)

    # The SDK does not start with a model that is not ready, but it starts with none, and takes models at any time.
    server.register_model(Pending(settings.name))
    threading.Thread(target=follow, daemon=True).start()
    run(server, [], log)


def run(server: Any, models: list[Any], log: PredictionLog | None) -> None:
    """Serves until it is told to stop; the last predictions are logged then."""
    try:
        server.start(models)
    finally:
        if log and not log.close():
            logger.error("the database did not take the last predictions")


def wait_for_port(port: int) -> None:
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(LISTEN_POLL_SECONDS)


def stop(_signal: int, _frame: FrameType | None) -> None:
    """Ends the program before the server has its own handlers; process 1 would ignore the signal otherwise."""
    raise SystemExit(0)


def main() -> int:
    # KServe's choice, and nothing that whoever reads this log can change.
    warnings.filterwarnings("ignore", message="ORJSONResponse is deprecated")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s", stream=sys.stderr)
    # These write a line or more for each request, or say at each start what can't be changed.
    for name in ("kserve", "kserve.trace", "uvicorn.access", "uvicorn.error", "botocore"):
        logging.getLogger(name).setLevel(logging.WARNING)
    signal.signal(signal.SIGTERM, stop)
    try:
        serve(Settings.read(os.environ))
    except registry.ModelError as error:
        logger.error("%s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
