import { setTimeout as sleep } from 'node:timers/promises';
import {
  createBaseModelVersion,
  createRollout,
  createRolloutForecast,
  getRolloutForecast,
  resumeRollout,
  rollBackRollout,
  type ReadaptClient,
  type RolloutForecast,
  type RolloutPolicy,
} from '../../openapi/clients/typescript/src/index.ts';
import { familyPath } from './fleet.ts';
import { followDemoRollout, type FollowedRollout } from './follow-rollout.ts';
import type { RegisteredFleet } from './register-fleet.ts';
import { describeForecast } from '../reports/forecast-text.ts';

const POLL_MS = 250;

/**
 * Policy of the demo's rollout: half of the fleet is the canary. The canary's jobs lose more than 2 % of the rows that
 * the imported adapters get right. The gate allows this loss, because it bounds only the net loss, but the loss meets
 * the pause condition.
 */
const POLICY: RolloutPolicy = { waves: [{ count: 3 }], pause_if: { negative_flips: 0.02, min_jobs: 3 } };

interface StoryOptions {
  readonly control: 'sample' | 'all' | 'none';
  readonly seed: number;
  readonly signal: AbortSignal;
  say(line: string): void;
}

/** Rollout of the demo after its end, with what happened between the waves. */
export interface FollowedInWaves extends FollowedRollout {
  /** Whether the pause condition has stopped the rollout after the canary, so that somebody had to resume it. */
  readonly wasPaused: boolean;
}

/**
 * Registers version 2 by a dry run, then rolls it out in two waves. If the rollout pauses between them, a second dry
 * run forecasts the rest, and the demo resumes the rollout as a person would.
 */
export async function rollOutInWaves(fleet: RegisteredFleet, options: StoryOptions): Promise<FollowedInWaves> {
  const { signal, say } = options;
  const request = { control: options.control, seed: options.seed, policy: POLICY };
  say('dry run: version 2 is registered, and nothing begins yet');
  const client = fleet.operator;
  const { base_model_version: version, forecast } = await createBaseModelVersion({
    client,
    path: { model: fleet.baseModelId },
    body: { version: '2', path: familyPath('v2'), rollout: request, dry_run: true },
  });
  say(describeForecast(await computed(client, forecast!.id, signal)));

  const started = Date.now();
  const body = { base_model_version_id: version.id, options: request };
  const { id } = await createRollout({ client, body });
  say(`\nrollout ${id} begins with its canary; the other jobs are held\n`);
  const canary = await followDemoRollout(fleet, id, { signal, started });
  if (canary.rollout.state !== 'paused') return { ...canary, wasPaused: false };
  say(`\npaused by itself: ${canary.rollout.paused_reason?.message ?? 'no reason is given'}`);
  say('dry run of the rest, from what the canary has taken:');
  const rest = await createRolloutForecast({ client, body });
  say(describeForecast(await computed(client, rest.id, signal)));

  say('\na person has looked at the canary, finds it good enough, and resumes\n');
  await resumeRollout({ client, path: { id } });
  return { ...(await followDemoRollout(fleet, id, { signal, started })), wasPaused: true };
}

async function computed(client: ReadaptClient, id: string, signal: AbortSignal): Promise<RolloutForecast> {
  for (;;) {
    const forecast = await getRolloutForecast({ client, path: { id }, signal });
    if (forecast.state === 'computed') return forecast;
    if (forecast.state === 'failed')
      throw new Error(`the dry run has failed: ${forecast.error?.message ?? 'no reason'}`);
    await sleep(POLL_MS);
    signal.throwIfAborted();
  }
}

/**
 * Rolls a rollout back, which starts no work.
 * @returns whether every adapter with a published version serves its earlier version again
 */
export async function rollBack(
  fleet: RegisteredFleet,
  { rollout, jobs }: FollowedRollout,
  say: StoryOptions['say'],
): Promise<boolean> {
  const published = jobs.filter(({ published_version_id: version }) => version !== null).length;
  const begun = Date.now();
  const { rolled_back: count } = await rollBackRollout({ client: fleet.operator, path: { id: rollout.id } });
  say(
    `rolled back: ${count} of ${published} adapters are served on version 2 no more, ${Date.now() - begun} ms ` +
      'after the request',
  );
  return count === published;
}
