import { setTimeout as sleep } from 'node:timers/promises';
import {
  createBaseModelVersion,
  createRollout,
  createRolloutForecast,
  getRolloutForecast,
  waitForRollout,
  type ReadaptClient,
} from '../../../openapi/clients/typescript/src/index.ts';
import { familyPath, FLEET } from '../../../cli/demo/fleet.ts';
import { untilMeasured } from '../../../cli/demo/measured-fleet.ts';
import { registerFleet, type RegisteredFleet } from '../../../cli/demo/register-fleet.ts';
import type { DemoStack } from '../demo-stack.ts';

/** Predicted figure beside the actual one. */
interface Figure {
  readonly predicted: number | null;
  readonly low: number | null;
  readonly high: number | null;
  readonly actual: number | null;
  readonly ratio: number | null;
}

/** Forecast in an answer of the API: the fields that are reported here. */
interface Forecast {
  readonly id: string;
  readonly state: string;
  readonly rollout_id: string | null;
  readonly basis: readonly { readonly text: string }[];
  readonly reason: string | null;
  readonly figures: Readonly<Record<'device_seconds' | 'ttr_p50_ms' | 'ttr_p90_ms' | 'makespan_ms', Figure>>;
}

/** Rollout with the forecast that was made before it began. */
export interface MeasuredPrediction extends Pick<Forecast, 'basis' | 'reason' | 'figures'> {
  readonly rollout: string;
  readonly adapters: number;
}

const POLL_MS = 500;

/**
 * Rolls the demo's adapters out to its second version, back and again. Each forecast rests on the measurements of the
 * rollouts before it: none, then other adapters, other updates of the same base model, and last another base model.
 */
export async function measurePredictions(options: DemoStack): Promise<MeasuredPrediction[]> {
  const found: MeasuredPrediction[] = [];
  const fleet = await registered(options, 'demo-llama', '');
  const second = await addVersion(fleet, '2', 'v2');
  const roll = async (rollout: string, version: string, adapters: readonly string[], of: RegisteredFleet = fleet) => {
    options.log(`${rollout} …`);
    const figures = await forecastAndRoll(of.operator, version, adapters);
    found.push({ rollout, adapters: adapters.length, ...figures });
  };
  await roll('the first three adapters to version 2', second, partOf(fleet, 0, 3));
  await roll('the other three to version 2', second, partOf(fleet, 3, 6));
  await roll('all six to version 3, which is version 1 again', await addVersion(fleet, '3', 'v1'), partOf(fleet, 0, 6));
  await roll('all six to version 4, which is version 2 again', await addVersion(fleet, '4', 'v2'), partOf(fleet, 0, 6));
  const elsewhere = await registered(options, 'other-llama', '-elsewhere');
  const other = await addVersion(elsewhere, '2', 'v2');
  await roll('the last three adapters of another base model', other, partOf(elsewhere, 3, 6), elsewhere);
  await roll('the other three of that', other, partOf(elsewhere, 0, 3), elsewhere);
  return found;
}

/** Ids of the adapters at the places `from` to `to` (exclusive) of the demo's fleet. */
function partOf(fleet: RegisteredFleet, from: number, to: number): string[] {
  return [...fleet.adapters.keys()].slice(from, to);
}

/** Registers the demo's adapters for tenants whose names end with `suffix`, and waits until they are measured. */
async function registered(options: DemoStack, baseModel: string, suffix: string): Promise<RegisteredFleet> {
  const entries = FLEET.map((entry) => ({ ...entry, tenant: `${entry.tenant}${suffix}` }));
  const fleet = await registerFleet({ ...options, fleet: entries, baseModel });
  await untilMeasured(fleet, new AbortController().signal);
  return fleet;
}

async function addVersion(fleet: RegisteredFleet, version: string, folder: string): Promise<string> {
  const body = { version, path: familyPath(folder), rollout: false } as const;
  const answer = await createBaseModelVersion({ client: fleet.operator, path: { model: fleet.baseModelId }, body });
  return answer.base_model_version.id;
}

async function forecastAndRoll(
  client: ReadaptClient,
  baseModelVersionId: string,
  adapters: readonly string[],
): Promise<Pick<Forecast, 'basis' | 'reason' | 'figures'>> {
  const body = {
    base_model_version_id: baseModelVersionId,
    options: { policy: { selection: { adapters: [...adapters] } } },
  };
  const { id } = await createRolloutForecast({ client, body });
  const read = () => getRolloutForecast({ client, path: { id } });
  await until(async () => (await read()).state === 'computed');
  const rollout = await createRollout({ client, body });
  await waitForRollout({ client, id: rollout.id });
  const { basis, reason, figures } = await read();
  return { basis, reason, figures };
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await sleep(POLL_MS);
}
