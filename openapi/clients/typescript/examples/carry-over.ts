/**
 * Carries an adapter over to the next version of its base model: from an operator's key to a verified folder.
 * READAPT is the address of the service, OPERATOR an operator's key, FAMILY the folder of the demo models, which the
 * service can read, and NAME a name that nothing has yet.
 */
import {
  createAdapter,
  createApiKey,
  createBaseModel,
  createBaseModelVersion,
  createClient,
  createTenant,
  items,
  listJobs,
  waitForRollout,
} from '@readapt/client';
import { downloadAdapter, uploadAdapter, uploadDataset } from '@readapt/client/node';

const {
  READAPT: baseUrl = '',
  OPERATOR: operatorKey = '',
  FAMILY: family = '',
  NAME: name = 'typescript',
} = process.env;
const operator = createClient({ baseUrl, apiKey: operatorKey });

// The operator registers the base model, whose first version starts no rollout, and gives a key to a tenant.
await createBaseModel({ client: operator, body: { name } });
const path = { model: name };
await createBaseModelVersion({ client: operator, path, body: { version: '1', path: `${family}/v1` } });
const owner = await createTenant({ client: operator, body: { name } });
const wanted = { name: 'example', tenant_id: owner.id, scopes: ['tenant:write' as const] };
const { key } = await createApiKey({ client: operator, body: wanted });
const tenant = createClient({ baseUrl, apiKey: key! });

// The tenant uploads rows and an adapter, which may be at most eight points worse on the next version.
const dataset = await uploadDataset({ client: tenant, name: 'plurals', file: `${family}/data/plural/train.jsonl` });
const { id: adapterId } = await createAdapter({
  client: tenant,
  body: {
    name: 'plurals',
    base_model: name,
    dataset_id: dataset.id,
    metric: 'exact_match',
    gate: { kind: 'relative', margin: 0.08 },
  },
});
await uploadAdapter({ client: tenant, adapterId, baseModelVersion: '1', folder: `${family}/adapters/plural` });

// The operator registers the next version, which starts a rollout.
const registered = await createBaseModelVersion({
  client: operator,
  path,
  body: { version: '2', path: `${family}/v2` },
});
if (!('rollout' in registered) || !registered.rollout) throw new Error('no rollout has begun');
const rollout = await waitForRollout({
  client: tenant,
  id: registered.rollout.id,
  timeoutMs: 600_000,
});
console.log(`rollout ${rollout.id} ${rollout.state}`);

// The tenant downloads what was published. A folder that arrives has the digest of its version.
for await (const job of items(listJobs, { client: tenant, query: { rollout_id: rollout.id } })) {
  if (job.state !== 'ready') {
    console.log(`${job.adapter_name} ${job.state}: its old version stays`);
    continue;
  }
  console.log(`${job.adapter_name} ${job.state} by ${job.won_strategy} after ${(job.ttr_ms! / 1000).toFixed(1)} s`);
  const folder = `${name}-${job.adapter_name}`;
  const versionId = job.published_version_id!;
  const version = await downloadAdapter({ client: tenant, adapterId: job.adapter_id, versionId, folder });
  console.log(`verified ${folder} ${version.digest}`);
}
