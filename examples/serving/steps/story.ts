import path from 'node:path';
import { familyPath } from '../../../cli/demo/fleet.ts';
import { retryingClient, registerFleet, type RegisteredFleet } from '../../../cli/demo/register-fleet.ts';
import { createApiKey, createBaseModelVersion, createReplica } from '../../../openapi/clients/typescript/src/index.ts';
import { MAX_RANK, startEngine } from '../engines/start-engine.ts';
import { Gateway, type Answer, type Pool } from '../gateway.ts';
import { printTable, seconds, shortened } from '../print-table.ts';
import { SERVED } from '../tenants.ts';
import { until } from '../until.ts';
import { GOES_BACK, goBack } from './go-back.ts';
import { moveTenants } from './move-tenants.ts';
import type { Answers, StoryOptions } from './options.ts';

/** Names of the two base versions in the engines. */
const SERVING_NAMES = ['demo-llama-1', 'demo-llama-2'] as const;

/** Tells the story: publish adapters, serve them, post a new base version, move tenants, roll one back. */
export async function tellStory(options: StoryOptions): Promise<void> {
  const { origin, operatorKey, say } = options;
  say('\n1. Three tenants import an adapter each for version 1 of the base.');
  const profile = { max_rank: MAX_RANK };
  const fleet = await registerFleet({
    ...{ origin, operatorKey, fleet: SERVED, log: say },
    serving: { name: SERVING_NAMES[0], profile },
  });
  const { key } = await createApiKey({
    client: fleet.operator,
    body: { name: 'gateway', scopes: ['serving:read'], tenant_id: null },
  });
  const gatewayClient = retryingClient(origin, key!);

  say(`\n2. An engine serves ${SERVING_NAMES[0]} and is added as a replica. Nobody tells it which adapters to load.`);
  const old = await addPool(options, fleet, { id: fleet.firstVersion.id, folder: 'v1', servingName: SERVING_NAMES[0] });
  const before = await serveFirst(options, old, new Gateway(gatewayClient, [old]));

  say(`\n3. Version 2 of the base is posted. A second engine serves ${SERVING_NAMES[1]}.`);
  const { next, rolloutId, started } = await postVersion(options, fleet);
  const gateway = new Gateway(gatewayClient, [next, old]);
  const after = await moveTenants({ ...options, fleet, gateway, next, before }, { rolloutId, started });

  say(`\n4. ${GOES_BACK} is taken back on ${SERVING_NAMES[1]}.`);
  await goBack({ ...options, fleet, gateway, next, before }, after);
}

/** Starts an engine for a base model version, and adds it to the service as a replica. */
async function addPool(
  { command, servingFolder, engines, signal, say }: StoryOptions,
  { operator }: RegisteredFleet,
  base: { readonly id: string; readonly folder: string; readonly servingName: string },
): Promise<Pool> {
  const { servingName } = base;
  const engine = await startEngine({ model: familyPath(base.folder), servingName, command, signal });
  engines.push(engine);
  await createReplica({
    client: operator,
    body: {
      ...{ engine: 'vllm', name: servingName, url: engine.url },
      ...{ base_model_version_id: base.id, path_prefix: path.join(servingFolder, base.id) },
    },
  });
  say(`engine of ${servingName} at ${engine.url}`);
  return { baseModelVersionId: base.id, engine, addedAt: Date.now() };
}

/** Waits until the first engine has all aliases, and sends a request to each adapter. */
async function serveFirst({ signal, saw, say }: StoryOptions, { engine }: Pool, gateway: Gateway): Promise<Answers> {
  const begun = Date.now();
  const loaded = await until(signal, async () => {
    const names = await engine.adapters();
    return SERVED.every(({ alias }) => names.has(alias)) ? names : null;
  });
  saw(`the engine of ${engine.servingName} has loaded every adapter`, loaded !== null);
  say(`it has all of them ${seconds(Date.now() - begun)} after it was added: ${[...(loaded ?? [])].sort().join(', ')}`);
  const rows = [];
  const answers = new Map<string, Answer>();
  for (const { alias, prompt } of SERVED) {
    const [alone, answer] = [await engine.ask(engine.servingName, prompt), await gateway.ask(alias, prompt)];
    saw(`${alias} answers otherwise than ${engine.servingName} alone`, answer !== null && answer.text !== alone);
    if (answer !== null) answers.set(alias, answer);
    rows.push({
      prompt: shortened(prompt),
      'the base alone': alone,
      'asked for': alias,
      'answered by': answer?.name,
      answer: answer?.text,
    });
  }
  printTable(say, rows);
  return answers;
}

/** Registers version 2 with a rollout, and starts its engine while adapters are carried over. */
async function postVersion(options: StoryOptions, fleet: RegisteredFleet) {
  const started = Date.now();
  const { base_model_version: base, rollout } = await createBaseModelVersion({
    client: fleet.operator,
    path: { model: fleet.baseModelId },
    body: {
      version: '2',
      path: familyPath('v2'),
      serving_name: SERVING_NAMES[1],
      rollout: { control: 'none', seed: 0 },
    },
  });
  const next = await addPool(options, fleet, { id: base.id, folder: 'v2', servingName: SERVING_NAMES[1] });
  return { next, rolloutId: rollout!.id, started };
}
