"""The real service, with the demo family's base and adapters: `node bin/readapt.js serve`."""

import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import Any, Self
from urllib.request import Request, urlopen

REPOSITORY = Path(__file__).resolve().parents[3]
FAMILY = REPOSITORY / "examples" / "demo-family"
_START_SECONDS = 90


class RealService:
    """One tenant, `acme`, with one adapter, `plural`, for the family's first version. Every request must succeed."""

    def __init__(self, serving_name: str) -> None:
        self.serving_name = serving_name
        self.url = self.key = self.operator = self.adapter_id = self.base_id = ""

    def __enter__(self) -> Self:
        self.folder = Path(tempfile.mkdtemp(prefix="readapt-service-"))
        # Its PostgreSQL runs as another user, where root starts it.
        self.folder.chmod(0o755)
        self.start()
        try:
            self.operator = (self.folder / "operator-key").read_text().strip()
            self._register()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self) -> None:
        """Starts it with what the folder holds, on the same port as before."""
        port = self.url.rpartition(":")[2] or "0"
        command = ["node", "bin/readapt.js", "serve", "--port", port, "--data-dir", str(self.folder), "--no-worker"]
        environment = os.environ | {"READAPT_ALLOWED_ROOTS": str(FAMILY), "NODE_ENV": "production"}
        self._process = subprocess.Popen(
            command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        timer = threading.Timer(_START_SECONDS, self._process.kill)
        timer.start()
        assert self._process.stdout is not None
        lines = []
        for line in self._process.stdout:
            lines.append(line)
            if address := re.match(r"readapt serves (http://\S+)", line):
                self.url = address[1]
                break
        timer.cancel()
        assert self.url, f"the service did not start:\n{''.join(lines)}"
        # Nobody reads the log from here on, and it must not fill the pipe.
        threading.Thread(target=self._process.stdout.read, daemon=True).start()

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()
        self._process.wait(30)

    def publish(self, adapter: str) -> int:
        """Imports the next version from one of the family's adapters, which becomes current."""
        body = {"base_model_version": "1", "path": str(FAMILY / "adapters" / adapter)}
        return self.send("POST", f"/v1/adapters/{self.adapter_id}/versions", body)["number"]

    def make_current(self, number: int | None) -> None:
        versions = self.send("GET", f"/v1/adapters/{self.adapter_id}/versions")["data"]
        wanted = next((each["id"] for each in versions if each["number"] == number), None)
        path = f"/v1/adapters/{self.adapter_id}/current/{self.base_id}"
        now = self.send("GET", path)["version_id"]
        self.send("PUT", path, {"version_id": wanted, "expected_version_id": now})

    def send(self, method: str, path: str, body: Any = None, content_type: str = "application/json") -> Any:
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.operator}"} | ({} if data is None else {"Content-Type": content_type})
        with urlopen(Request(self.url + path, data, headers, method=method), timeout=60) as response:
            return json.loads(response.read())

    def _register(self) -> None:
        self.send("POST", "/v1/base-models", {"name": "tiny"})
        version = {"version": "1", "path": str(FAMILY / "v1"), "serving_name": self.serving_name}
        registered = self.send("POST", "/v1/base-models/tiny/versions", version)
        self.base_id = registered["base_model_version"]["id"]
        tenant = self.send("POST", "/v1/tenants", {"name": "acme"})["id"]
        self.key = self.send("POST", "/v1/api-keys", {"name": "engines", "tenant_id": None, "scopes": ["serving:read"]})["key"]
        rows = (FAMILY / "data" / "plural" / "validation.jsonl").read_bytes()
        dataset = self.send("POST", f"/v1/datasets?name=plurals&tenant_id={tenant}", rows, "application/x-ndjson")["id"]
        adapter = {
            "name": "plural",
            "tenant_id": tenant,
            "base_model": "tiny",
            "dataset_id": dataset,
            "metric": "exact_match",
            "gate": {"kind": "relative", "margin": 0.1},
        }
        self.adapter_id = self.send("POST", "/v1/adapters", adapter)["id"]
