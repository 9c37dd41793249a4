import { setTimeout as sleep } from 'node:timers/promises';
import { followDemoRollout } from '../../../cli/demo/follow-rollout.ts';
import { listCurrentVersions, type ServedVersion } from '../../../openapi/clients/typescript/src/index.ts';
import type { RunningEngine } from '../engines/start-engine.ts';
import type { Answer, Gateway } from '../gateway.ts';
import { printTable, seconds } from '../print-table.ts';
import { SERVED } from '../tenants.ts';
import { until } from '../until.ts';
import type { Move } from './options.ts';

/** Time between two user requests, in milliseconds. */
const TRAFFIC_MS = 500;

/** Follows the rollout while users send requests, and looks for each alias at the new engine. */
export async function moveTenants(
  move: Move,
  { rolloutId, started }: { readonly rolloutId: string; readonly started: number },
): Promise<readonly ServedVersion[]> {
  const { fleet, gateway, next, before, signal, saw, say } = move;
  const ended = new AbortController();
  const traffic = sendTraffic(gateway, AbortSignal.any([signal, ended.signal]));
  const arrivals = watchAliases(next.engine, AbortSignal.any([signal, ended.signal]));
  // Both are awaited below. If the example fails before that, their own failures add nothing.
  for (const background of [traffic, arrivals.watching]) background.catch(() => undefined);
  const { rollout, jobs } = await followDemoRollout(fleet, rolloutId, { signal, started });
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
    const took =
      at === undefined || version === undefined
        ? 'never'
        : seconds(at - Math.max(next.addedAt, Date.parse(version.changed_at)));
    rows.push({
      ...{ 'asked for': alias, before: shown(before.get(alias)), 'the new base alone': alone },
      ...{ after: shown(answer), 'served within': took },
    });
  }
  printTable(say, rows);
  say(
    'Served within: from the publication, or from when the engine was added if that came later, ' +
      'until the engine has the alias.',
  );
  const { answered, unanswered } = gateway.counts;
  say(`${answered + unanswered} requests through the gateway meanwhile, ${unanswered} without an answer`);
  saw('no request was left without an answer while tenants moved', unanswered === 0 && answered > 0);
  return served;
}

function shown(answer: Answer | null | undefined): string {
  return answer ? `${answer.name}: ${answer.text}` : 'no answer';
}

/** Sends user requests for the adapters, one after the other. */
async function sendTraffic(gateway: Gateway, signal: AbortSignal): Promise<void> {
  for (let next = 0; !signal.aborted; next += 1) {
    const { alias, prompt } = SERVED[next % SERVED.length]!;
    await gateway.ask(alias, prompt);
    await pause(TRAFFIC_MS, signal);
  }
}

/** Records when an engine first has each alias, by `Date.now()`. */
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

const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  sleep(ms, undefined, { signal }).catch(() => undefined);
