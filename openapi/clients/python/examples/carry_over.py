"""Carries an adapter over to the next version of its base model: from an operator's key to a verified archive.

READAPT is the address of the service, OPERATOR an operator's key, FAMILY the folder of the demo models, which the
service can read, and NAME a name that nothing has yet.
"""

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
    MetricName,
    RelativeGate,
    RelativeGateKind,
    Scope,
)
from readapt_client.types import File
from readapt_helpers import adapter_archive, answer, download_version, items, wait_for_rollout

url, operator_key, name = os.environ["READAPT"], os.environ["OPERATOR"], os.environ.get("NAME", "python")
family = Path(os.environ["FAMILY"]).resolve()
operator = AuthenticatedClient(base_url=url, token=operator_key)

# The operator registers the base model, whose first version starts no rollout, and gives a key to a tenant.
answer(create_base_model.sync_detailed(client=operator, body=CreateBaseModel(name=name)))
first = CreateBaseModelVersion(version="1", path=str(family / "v1"))
answer(create_base_model_version.sync_detailed(name, client=operator, body=first))
tenant_id = answer(create_tenant.sync_detailed(client=operator, body=CreateTenant(name=name))).id
key = CreateApiKey(name="example", tenant_id=tenant_id, scopes=[Scope.TENANTWRITE])
tenant = AuthenticatedClient(base_url=url, token=answer(create_api_key.sync_detailed(client=operator, body=key)).key)

# The tenant uploads rows and an adapter, which may be at most eight points worse on the next version.
with (family / "data/plural/train.jsonl").open("rb") as rows:
    dataset = answer(create_dataset.sync_detailed(client=tenant, name="plurals", body=File(payload=rows)))
wanted = CreateAdapter(
    name="plurals",
    base_model=name,
    dataset_id=dataset.id,
    metric=MetricName.EXACT_MATCH,
    gate=RelativeGate(kind=RelativeGateKind.RELATIVE, margin=0.08),
)
adapter = answer(create_adapter.sync_detailed(client=tenant, body=wanted))
archive = File(payload=adapter_archive(family / "adapters/plural"))
answer(upload_adapter_version.sync_detailed(adapter.id, client=tenant, base_model_version="1", body=archive))

# The operator registers the next version, which starts a rollout. The key makes it safe to send the request again.
second = CreateBaseModelVersion(version="2", path=str(family / "v2"))
registered = answer(
    create_base_model_version.sync_detailed(name, client=operator, body=second, idempotency_key=f"{name}-2")
)
rollout = wait_for_rollout(tenant, registered.rollout.id)
print(f"rollout {rollout.id} {rollout.state}")

# The tenant downloads what was published, which is compared with its digest.
for job in items(list_jobs, client=tenant, rollout_id=rollout.id):
    if job.state != "ready":
        print(f"{job.adapter_name} {job.state}: its old version stays")
        continue
    print(f"{job.adapter_name} {job.state} by {job.won_strategy} after {job.ttr_ms / 1000:.1f} s")
    version = answer(get_adapter_version.sync_detailed(job.adapter_id, job.published_version_id, client=tenant))
    file = f"{name}-{job.adapter_name}-{version.number}.tar"
    download_version(tenant, version, file)
    print(f"verified {file} {version.digest}")
