import { readlink } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { followRollout } from '../../cli/demo/follow-rollout.ts';
import { familyPath } from '../../cli/demo/fleet.ts';
import { patientClient, registerFleet, type RegisteredFleet } from '../../cli/demo/register-fleet.ts';
import {
  createApiKey,
  createBaseModelVersion,
  createReplica,
  listCurrentVersions,
  setCurrentVersion,
  type ServedVersion,
} from '../../openapi/clients/typescript/src/index.ts';
import { MAX_RANK, startEngine, type RunningEngine } from './engines/start-engine.ts';
import { Gateway, type Answer, type Pool } from './gateway.ts';
import { printTable } from './print-table.ts';
import { SERVED, type ServedAdapter } from './tenants.ts';
import { until } from './until.ts';

/** What engines call the two versions of the base. */
const SERVING_NAMES = ['demo-llama-1', 'demo-llama-2'] as const;

/** The adapter that goes back. */
const GOES_BACK = 'globex.catalogue-plurals';

/** Time between two requests of users, in milliseconds. */
const TRAFFIC_MS = 500;

export interface StoryOptions {
  /** The service's origin, `http://host:port`. */
  readonly origin: string;
  readonly operatorKey: string;
  /** The folder that the service keeps for engines. */
  readonly servingFolder: string;
  /** The engine's command; null for the stand-in. */
  readonly command: string | null;
  /** Has the engines that were started: whoever calls stops them. */
  readonly engines: RunningEngine[];
  readonly signal: AbortSignal;
  /** Is told of each thing that should have been seen. */
  saw(what: string, isSeen: boolean): void;
  say(line: string): void;
}

/** Publish, serve, a new base version, tenants move, one goes back. */
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
  const gatewayClient = patientClient(origin, key!);

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
  return { baseModelVersionId: base.id, engine };
}

type Answers = ReadonlyMap<string, Answer>;

/** Waits until the first engine has all aliases, and asks for each adapter. */
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

interface Move extends StoryOptions {
  readonly fleet: RegisteredFleet;
  readonly gateway: Gateway;
  /** The pool of the new base. */
  readonly next: Pool;
  readonly before: Answers;
}

/** Follows the rollout while users go on asking, and looks for each alias at the new engine. */
async function moveTenants(
  move: Move,
  { rolloutId, started }: { readonly rolloutId: string; readonly started: number },
): Promise<readonly ServedVersion[]> {
  const { fleet, gateway, next, before, signal, saw, say } = move;
  const ended = new AbortController();
  const traffic = sendTraffic(gateway, AbortSignal.any([signal, ended.signal]));
  const arrivals = watchAliases(next.engine, AbortSignal.any([signal, ended.signal]));
  const { rollout, jobs } = await followRollout(fleet, rolloutId, { signal, started });
  const { data: served } = await listCurrentVersions({ client: fleet.operator, path: { id: next.baseModelVersionId } });
  await until(signal, () => Promise.resolve(served.every(({ alias }) => arrivals.seen.has(alias)) || null));
  ended.abort();
  await Promise.all([traffic, arrivals.watching]);
  saw(
    'every adapter is ready on the new base',
    rollout.state === 'completed' && jobs.every((job) => job.state === 'ready'),
  );
  const rows = [];
  for (const { alias, prompt } of SERVED) {
    const version = served.find((one) => one.alias === alias);
    const [alone, answer] = [await next.engine.ask(next.engine.servingName, prompt), await gateway.ask(alias, prompt)];
    const at = arrivals.seen.get(alias);
    saw(`${alias} has moved to ${next.engine.servingName}`, at !== undefined && answer?.name === version?.name);
    saw(`${alias} answers otherwise than ${next.engine.servingName} alone`, answer !== null && answer.text !== alone);
    const took = at === undefined || version === undefined ? 'never' : seconds(at - Date.parse(version.changed_at));
    const was = before.get(alias);
    rows.push({
      ...{ 'asked for': alias, before: `${was?.name}: ${was?.text}`, 'the new base alone': alone },
      ...{ after: `${answer?.name}: ${answer?.text}`, 'served after its publication': took },
    });
  }
  printTable(say, rows);
  const { answered, unanswered } = gateway.counts;
  say(`${answered + unanswered} requests through the gateway meanwhile, ${unanswered} without an answer`);
  saw('no request was left without an answer while tenants moved', unanswered === 0 && answered > 0);
  return served;
}

/** Users go on asking for their adapters, one after the other. */
async function sendTraffic(gateway: Gateway, signal: AbortSignal): Promise<void> {
  for (let next = 0; !signal.aborted; next += 1) {
    const { alias, prompt } = SERVED[next % SERVED.length]!;
    await gateway.ask(alias, prompt);
    await pause(TRAFFIC_MS, signal);
  }
}

/** Notes when an engine has an alias for the first time, by `Date.now()`. */
function watchAliases(engine: RunningEngine, signal: AbortSignal) {
  const seen = new Map<string, number>();
  const watch = async (): Promise<void> => {
    while (!signal.aborted) {
      for (const name of await engine.adapters()) if (!seen.has(name)) seen.set(name, Date.now());
      await pause(100, signal);
    }
  };
  return { seen, watching: watch() };
}

/** Takes one adapter back on the new base: the engine drops its alias, the folder its link, and the pool before answers as it did. */
async function goBack(move: Move, served: readonly ServedVersion[]): Promise<void> {
  const { fleet, gateway, next, before, servingFolder, signal, saw, say } = move;
  const version = served.find(({ alias }) => alias === GOES_BACK);
  const { prompt } = SERVED.find(({ alias }) => alias === GOES_BACK) as ServedAdapter;
  if (version === undefined) return saw(`${GOES_BACK} can go back`, false);
  const base = next.baseModelVersionId;
  const set = (to: string | null, from: string | null) =>
    setCurrentVersion({
      ...{ client: fleet.operator, path: { id: version.adapter_id, base_model_version_id: base } },
      body: { version_id: to, expected_version_id: from },
    });
  const link = path.join(servingFolder, base, GOES_BACK);
  const isThere = async (): Promise<boolean> => (await next.engine.adapters()).has(GOES_BACK);
  const hasLink = (): Promise<boolean> =>
    readlink(link).then(
      () => true,
      () => false,
    );

  const rows = [];
  for (const [step, to, from] of [
    ['taken back', null, version.adapter_version_id],
    ['current again', version.adapter_version_id, null],
  ] as const) {
    const begun = Date.now();
    await set(to, from);
    const isSeen = await until(signal, async () => {
      const wanted = to !== null;
      return ((await isThere()) === wanted && (await hasLink()) === wanted) || null;
    });
    const took = Date.now() - begun;
    saw(
      `the alias of ${GOES_BACK} ${to === null ? 'is gone' : 'is back'} on ${next.engine.servingName} within seconds`,
      isSeen !== null,
    );
    const answer = await gateway.ask(GOES_BACK, prompt);
    const wanted = to === null ? before.get(GOES_BACK)?.name : version.name;
    saw(`${GOES_BACK} is answered by ${wanted} when it is ${step}`, answer !== null && answer.name === wanted);
    if (to === null) saw(`${GOES_BACK} answers as before`, answer?.text === before.get(GOES_BACK)?.text);
    rows.push({
      [GOES_BACK]: step,
      'the engine follows after': seconds(took),
      pool: answer?.pool,
      'answered by': answer?.name,
      answer: answer?.text,
    });
  }
  printTable(say, rows);
}

const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  sleep(ms, undefined, { signal }).catch(() => undefined);

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

/** A prompt on one line, as its first words. */
function shortened(prompt: string): string {
  const line = prompt.replaceAll('\n', ' ');
  return line.length > 44 ? `${line.slice(0, 43)}…` : line;
}
