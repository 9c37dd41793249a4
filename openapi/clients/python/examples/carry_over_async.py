"""Carries adapters over as carry_over.py does, with asyncio, which uploads for several tenants at once.

READAPT is the address of the service, OPERATOR an operator's key, FAMILY the folder of the demo models, which the
service can read, and NAME a name that nothing has yet.
"""

import asyncio
import os
from pathlib import Path

from readapt_client import AuthenticatedClient
from readapt_client.api.adapters import create_adapter, get_adapter_version, upload_adapter_version
from readapt_client.api.api_keys import create_api_key
from readapt_client.api.base_models import create_base_model, create_base_model_version
from readapt_client.api.datasets import create_dataset
from readapt_client.api.jobs import list_jobs
from readapt_client.api.tenants import create_tenant
from readapt_client.models import (
    CreateAdapter,
    CreateApiKey,
    CreateBaseModel,
    CreateBaseModelVersion,
    CreateTenant,
    CreatedBaseModelVersion,
    Job,
    MetricName,
    RelativeGate,
    RelativeGateKind,
    Scope,
)
from readapt_helpers import adapter_archive, answer, async_file, download_version, items_async, wait_for_rollout_async

URL, NAME = os.environ["READAPT"], os.environ.get("NAME", "python-async")
FAMILY = Path(os.environ["FAMILY"]).resolve()
TENANTS = [f"{NAME}-1", f"{NAME}-2"]


async def main() -> None:
    operator = AuthenticatedClient(base_url=URL, token=os.environ["OPERATOR"])
    answer(await create_base_model.asyncio_detailed(client=operator, body=CreateBaseModel(name=NAME)))
    await register(operator, "1")
    await asyncio.gather(*(upload(operator, name) for name in TENANTS))

    registered = await register(operator, "2")
    rollout = await wait_for_rollout_async(operator, registered.rollout.id)
    print(f"rollout {rollout.id} {rollout.state}")
    jobs = [job async for job in items_async(list_jobs, client=operator, rollout_id=rollout.id)]
    await asyncio.gather(*(download(operator, job) for job in jobs if job.state == "ready"))


async def register(operator: AuthenticatedClient, version: str) -> CreatedBaseModelVersion:
    """The operator registers a version of the base model. The key makes it safe to send the request again."""
    body = CreateBaseModelVersion(version=version, path=str(FAMILY / f"v{version}"))
    return answer(
        await create_base_model_version.asyncio_detailed(
            NAME, client=operator, body=body, idempotency_key=f"{NAME}-{version}"
        )
    )


async def upload(operator: AuthenticatedClient, name: str) -> None:
    """A tenant uploads rows and an adapter, which may be at most eight points worse on the next version."""
    owner = answer(await create_tenant.asyncio_detailed(client=operator, body=CreateTenant(name=name)))
    wanted = CreateApiKey(name="example", tenant_id=owner.id, scopes=[Scope.TENANTWRITE])
    key = answer(await create_api_key.asyncio_detailed(client=operator, body=wanted)).key
    tenant = AuthenticatedClient(base_url=URL, token=key)
    with (FAMILY / "data/plural/train.jsonl").open("rb") as rows:
        dataset = answer(await create_dataset.asyncio_detailed(client=tenant, name="plurals", body=async_file(rows)))
    adapter = CreateAdapter(
        name="plurals",
        base_model=NAME,
        dataset_id=dataset.id,
        metric=MetricName.EXACT_MATCH,
        gate=RelativeGate(kind=RelativeGateKind.RELATIVE, margin=0.08),
    )
    created = answer(await create_adapter.asyncio_detailed(client=tenant, body=adapter))
    archive = async_file(adapter_archive(FAMILY / "adapters/plural"))
    answer(
        await upload_adapter_version.asyncio_detailed(created.id, client=tenant, base_model_version="1", body=archive)
    )


async def download(client: AuthenticatedClient, job: Job) -> None:
    """Downloads what a job has published, which is compared with its digest."""
    version = answer(
        await get_adapter_version.asyncio_detailed(job.adapter_id, job.published_version_id, client=client)
    )
    file = f"{NAME}-{job.adapter_name}-{job.tenant_id}.tar"
    await asyncio.to_thread(download_version, client, version, file)
    print(f"verified {file} {version.digest}")


asyncio.run(main())
