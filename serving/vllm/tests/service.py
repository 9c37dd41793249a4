"""A service that speaks Readapt's API and can be told to misbehave. What the real one answers, test_real_service.py sees."""

import hashlib
import io
import json
import tarfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from aiohttp import web

BASE = "bmv_1"
MODEL = "/models/tiny"
FINGERPRINT = "ec66a1589b3a12c50dc622dbf7aee1b6aee81c446fab2551ae7dc1683b22f9d6"
KEY = "rk_test"
#: It is not the same any more if a client writes it in another way.
SIGNATURE = "a%2Fb%7Ec%3D"

Misbehaviour = Callable[[web.Request], Awaitable[web.StreamResponse | None]]


def files_of(rank: int = 4, weights: bytes = b"weights", fingerprint: str | None = FINGERPRINT) -> dict[str, bytes]:
    """The files of an adapter, of which nobody but vLLM's engine reads the weights."""
    config = {"peft_type": "LORA", "r": rank, "lora_alpha": 8, "target_modules": ["q_proj"], "base_model_name_or_path": MODEL}
    files = {"adapter_config.json": json.dumps(config).encode(), "adapter_model.safetensors": weights}
    if fingerprint is not None:
        checksums = {name: {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)} for name, content in files.items()}
        manifest = {"format": "readapt.adapter.v1", "base_fingerprint": fingerprint, "files": checksums}
        files["readapt.json"] = json.dumps(manifest).encode()
    return files


def digest_of(files: dict[str, bytes]) -> str:
    lines = "".join(f'["{name}",{len(files[name])},"{hashlib.sha256(files[name]).hexdigest()}"]\n' for name in sorted(files))
    return "sha256:" + hashlib.sha256(f"readapt folder 1\n{lines}".encode()).hexdigest()


def archive_of(files: dict[str, bytes], prefix: str = "support-1/") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in sorted(files.items()):
            member = tarfile.TarInfo(f"{prefix}{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


@dataclass
class Service:
    """What is published, by number, and what is current of it. Requests are written down."""

    versions: dict[int, dict[str, bytes]] = field(default_factory=dict)
    current: int | None = None
    base_fingerprint: str | None = FINGERPRINT
    requests: list[str] = field(default_factory=list)
    #: What happens instead of the next answers to a path that begins so. None means that it is answered as usual.
    misbehaviours: list[tuple[str, Misbehaviour]] = field(default_factory=list)
    changes: list[int | None] = field(default_factory=list)
    #: Whether it says where files are, as later services do, and whether that is in a bucket.
    names_files: bool = False
    has_bucket: bool = True

    def publish(self, number: int, files: dict[str, bytes]) -> None:
        self.versions[number] = files
        self.make_current(number)

    def make_current(self, number: int | None) -> None:
        self.current = number
        self.changes.append(number)

    def misbehave(self, path: str, what: Misbehaviour, times: int = 1) -> None:
        self.misbehaviours += [(path, what)] * times

    def asked(self, path: str) -> int:
        return sum(each.startswith(path) for each in self.requests)

    def answer(self, number: int) -> dict[str, object]:
        files = self.versions[number]
        return {
            "adapter_id": "adp_1",
            "tenant_id": "ten_1",
            "base_model_version_id": BASE,
            "base_model_fingerprint": self.base_fingerprint,
            "serving_name": MODEL,
            "alias": "acme.support",
            "name": f"acme.support@{number}",
            "adapter_version_id": f"adv_{number}",
            "number": number,
            "rank": 4,
            "digest": digest_of(files),
            "bytes": sum(map(len, files.values())),
            "changed_at": "2026-11-28T00:00:00.000Z",
            "download": f"/v1/adapters/adp_1/versions/adv_{number}/download",
        } | ({"files": f"/v1/adapters/adp_1/versions/adv_{number}/files"} if self.names_files else {})

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self._misbehave_or_answer])
        app.router.add_get("/v1/serving/resolve", self._resolve)
        app.router.add_get("/v1/base-model-versions/{base}/current", self._changes)
        app.router.add_get("/v1/adapters/adp_1/versions/{version}/download", self._download)
        app.router.add_get("/v1/adapters/adp_1/versions/{version}/files", self._files)
        app.router.add_get("/bucket/{version}/{name}", self._object)
        return app

    @web.middleware
    async def _misbehave_or_answer(self, request: web.Request, handler: Callable) -> web.StreamResponse:
        self.requests.append(request.path_qs)
        # A bucket refuses a key beside its own signature.
        key = None if request.path.startswith("/bucket") else f"Bearer {KEY}"
        if request.headers.get("Authorization") != key:
            return problem(401, "unauthorized")
        for index, (path, what) in enumerate(self.misbehaviours):
            if request.path.startswith(path):
                del self.misbehaviours[index]
                response = await what(request)
                if response is not None:
                    return response
                break
        return await handler(request)

    async def _resolve(self, request: web.Request) -> web.Response:
        name = request.query["name"]
        alias, _, asked = name.partition("@")
        if alias != "acme.support":
            return problem(404, "not_found")
        number = int(asked) if asked and int(asked) in self.versions else self.current
        if number is None:
            return problem(404, "no_current_version")
        body = self.answer(number)
        tag = f'"{hashlib.sha256(json.dumps(body).encode()).hexdigest()}"'
        if request.headers.get("If-None-Match") == tag:
            return web.Response(status=304, headers={"ETag": tag})
        return web.json_response(body, headers={"ETag": tag})

    async def _changes(self, request: web.Request) -> web.Response:
        after = int(request.query["changed_after"])
        changed = len(self.changes) > after
        data = [self.answer(self.current)] if changed and self.current is not None else []
        removed = ["adp_1"] if changed and self.current is None else []
        return web.json_response({"data": data, "removed": removed, "next_changed_after": str(len(self.changes))})

    async def _download(self, request: web.Request) -> web.Response:
        files = self.versions[int(request.match_info["version"].removeprefix("adv_"))]
        return part_of(request, archive_of(files), digest_of(files))

    async def _files(self, request: web.Request) -> web.Response:
        version = request.match_info["version"]
        return web.json_response({"files": self.files(version, str(request.url.origin()))})

    def files(self, version: str, origin: str) -> list[dict[str, object]]:
        """The list of a version's files, with addresses whose signatures are right as they are written and not otherwise."""
        expires_at = "2026-11-28T00:15:00.000Z" if self.has_bucket else None
        return [
            {
                "name": name,
                "bytes": len(content),
                "sha256": hashlib.sha256(content).hexdigest(),
                "media_type": "application/octet-stream",
                "url": f"{origin}/bucket/{version}/{name}?X-Amz-Signature={SIGNATURE}",
                "expires_at": expires_at,
            }
            for name, content in sorted(self.versions[int(version.removeprefix("adv_"))].items())
        ]

    async def _object(self, request: web.Request) -> web.Response:
        if not request.raw_path.endswith(f"?X-Amz-Signature={SIGNATURE}"):
            return web.Response(status=403)
        content = self.versions[int(request.match_info["version"].removeprefix("adv_"))][request.match_info["name"]]
        start = int(request.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        headers = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"} if start > 0 else {}
        return web.Response(status=206 if start > 0 else 200, body=content[start:], headers=headers)


def part_of(request: web.Request, content: bytes, tag: str) -> web.Response:
    headers = {"ETag": f'"{tag}"'}
    if "Range" in request.headers and request.headers.get("If-Range") == headers["ETag"]:
        start = int(request.headers["Range"].removeprefix("bytes=").removesuffix("-"))
        headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        return web.Response(status=206, body=content[start:], headers=headers)
    return web.Response(body=content, headers=headers)


def problem(status: int, code: str, headers: dict[str, str] | None = None) -> web.Response:
    body = {"type": f"https://readapt.dev/problems/{code}", "status": status, "code": code, "detail": f"it is {code}"}
    return web.json_response(body, status=status, headers=headers, content_type="application/problem+json")
