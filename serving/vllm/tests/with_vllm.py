"""Runs the real service and a real `vllm serve` with the demo family, and prints what is answered by which name.

    python tests/with_vllm.py

It needs an environment with vLLM and this package, and a checkout in which `npm ci` was run.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from real_service import FAMILY, RealService

MODEL = str(FAMILY / "v1")
PORT = 18219
PROMPT = "Word: city\nPlural:"
ARGUMENTS = [
    "--enable-lora",
    "--max-loras",
    "2",
    "--max-lora-rank",
    "16",
    "--max-model-len",
    "256",
    "--dtype",
    "float32",
    "--enforce-eager",
]


def ask(model: str) -> str:
    """The greedy answer, and the name of what answered."""
    body = json.dumps({"model": model, "prompt": PROMPT, "max_tokens": 6, "temperature": 0, "stop": "\n"}).encode()
    request = Request(f"http://127.0.0.1:{PORT}/v1/completions", body, {"Content-Type": "application/json"})
    try:
        with urlopen(request, timeout=60) as response:
            answer = json.loads(response.read())
            return f"{answer['choices'][0]['text']!r} from {Path(answer['model']).name}"
    except HTTPError as error:
        return f"{error.code} {json.loads(error.read())['error']['message']}"


def show(what: str, *names: str) -> None:
    for name in names:
        print(f"{what:34} {Path(name).name:15} {ask(name)}", flush=True)


def wait_for(what: str, is_so: Any, seconds: float = 240) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > end:
            raise SystemExit(f"{what} did not happen within {seconds:g} s")
        time.sleep(0.2)


def is_serving() -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{PORT}/health", timeout=5) as response:
            return response.status == 200
    except (URLError, OSError):
        return False


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="readapt-vllm-"))
    with RealService(MODEL) as service:
        settings = {
            "READAPT_URL": service.url,
            "READAPT_API_KEY": service.key,
            "READAPT_CACHE_DIR": str(folder / "cache"),
            "READAPT_REFRESH_SECONDS": "1",
            "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True",
            "VLLM_PLUGINS": "readapt",
        }
        command = [str(Path(sys.executable).with_name("vllm")), "serve", MODEL, "--port", str(PORT), *ARGUMENTS]
        log = (folder / "vllm.log").open("w")
        print(f"vLLM writes to {log.name}")
        engine = subprocess.Popen(command, env=os.environ | settings, stdout=log, stderr=subprocess.STDOUT)
        try:
            wait_for("the start of vLLM", lambda: is_serving() or engine.poll() is not None)
            show("nothing is published", MODEL, "acme.plural")
            service.publish("sst2")
            time.sleep(2.5)
            show("version 1 is published", "acme.plural")
            service.publish("plural")
            wait_for("the move", lambda: "acme.plural@2" in ask("acme.plural"))
            show("version 2 is published", "acme.plural", "acme.plural@1", "acme.plural@2")
            service.make_current(1)
            wait_for("the move back", lambda: "acme.plural@1" in ask("acme.plural"))
            show("version 1 is current again", "acme.plural")
            service.stop()
            show("the service is away", "acme.plural", "acme.plural@2", "acme.other")
            service.start()
            service.make_current(None)
            wait_for("the withdrawal", lambda: ask("acme.plural").startswith("404"))
            show("nothing is current", "acme.plural", MODEL)
        finally:
            engine.terminate()
            engine.wait(60)


main()
