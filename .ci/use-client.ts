// What a program does with the packed client: from an operator's key to a re-adapted adapter on disk.
import {
  createAdapter,
  createApiKey,
  createBaseModel,
  createBaseModelVersion,
  createClient,
  createTenant,
  items,
  listJobs,
  waitForJob,
  waitForRollout,
} from '@readapt/client';
import { downloadAdapter, folderDigest, uploadAdapter, uploadDataset } from '@readapt/client/node';
import { verifyWebhook, WebhookVerificationError } from '@readapt/client/webhooks';

declare const process: { readonly env: Readonly<Record<string, string>> };
const { READAPT_URL: baseUrl, READAPT_KEY: apiKey, FAMILY: family } = process.env as Record<string, string>;

const operator = createClient({ baseUrl: baseUrl!, apiKey: apiKey! });
const { id: tenantId } = await createTenant({ client: operator, body: { name: 'acme' } });
const { key } = await createApiKey({
  client: operator,
  body: { name: 'ci', tenant_id: tenantId, scopes: ['tenant:write'] },
});
await createBaseModel({ client: operator, body: { name: 'demo' } });
const model = { model: 'demo' };
await createBaseModelVersion({ client: operator, path: model, body: { version: '1', path: `${family}/v1` } });

const client = createClient({ baseUrl: baseUrl!, apiKey: key! });
const dataset = await uploadDataset({ client, name: 'plurals', file: `${family}/data/plural/train.jsonl` });
const { id: adapterId } = await createAdapter({
  client,
  body: {
    name: 'plurals',
    base_model: 'demo',
    dataset_id: dataset.id,
    metric: 'exact_match',
    gate: { kind: 'relative', margin: 0.08 },
  },
});
await uploadAdapter({ client, adapterId, baseModelVersion: '1', folder: `${family}/adapters/plural` });

const second = await createBaseModelVersion({
  client: operator,
  path: model,
  body: { version: '2', path: `${family}/v2` },
});
if (!('rollout' in second) || second.rollout === undefined || second.rollout === null)
  throw new Error('no rollout began');
const rollout = await waitForRollout({ client, id: second.rollout.id, timeoutMs: 180_000 });
for await (const { id } of items(listJobs, { client, query: { rollout_id: rollout.id } })) {
  const job = await waitForJob({ client, id });
  const versionId = job.published_version_id!;
  const version = await downloadAdapter({ client, adapterId, versionId, folder: 'plurals-2' });
  if ((await folderDigest('plurals-2')) !== version.digest) throw new Error('the digest of the download is wrong');
  console.log(`${job.adapter_name} is ${job.state} after ${Math.round(job.ttr_ms!)} ms: ${version.digest}`);
}

try {
  verifyWebhook(`whsec_${btoa('a secret of 24 characters')}`, { body: '{}', headers: {} });
  throw new Error('a webhook without a signature was taken');
} catch (error) {
  if (!(error instanceof WebhookVerificationError)) throw error;
}
