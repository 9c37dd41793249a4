import type { Rollout, RolloutForecast } from '../../../remote/client.ts';
import { describeForecast } from '../../../reports/forecast-text.ts';
import { EXIT, UnsuccessfulResult } from '../../../process/errors.ts';
import { findBaseVersion } from '../../../remote/find.ts';
import type { Service } from '../../../remote/service.ts';
import { note, printJson } from '../../../screen/print.ts';
import { printable } from '../../../screen/text.ts';
import { untilInterrupted } from '../../../watch/until-interrupted.ts';
import type { CreateOptions, RolloutRequest, VersionOf } from './rollout-request.ts';

/** Begins a rollout and, with `--watch`, follows it. */
export async function beginRollout(service: Service, request: RolloutRequest, options: CreateOptions): Promise<void> {
  const rollout = await requested(service, request);
  if (options.watch) {
    const { watchRollout } = await import('../../../watch/watch-rollout.ts');
    if (!options.json) note(`rollout ${rollout.id} to ${rollout.base_model_name} ${rollout.version} is accepted`);
    return watchRollout(service, rollout.id, options);
  }
  if (options.json) printJson(rollout);
  else process.stdout.write(`rollout ${rollout.id} to ${rollout.base_model_name} ${rollout.version} is accepted\n`);
}

async function requested(service: Service, { version, options }: RolloutRequest): Promise<Rollout> {
  const { createBaseModelVersion, createRollout } = await import('../../../remote/client.ts');
  const { client } = service;
  if ('register' in version && version.register !== undefined) {
    const body = { version: version.version, ...version.register, rollout: options };
    const { rollout } = await createBaseModelVersion({ client, path: { model: version.model }, body });
    if (rollout === null) throw new Error('the service has registered the version, and says nothing of a rollout');
    return rollout;
  }
  return createRollout({ client, body: { base_model_version_id: await idOf(service, version), options } });
}

async function idOf(service: Service, version: VersionOf): Promise<string> {
  if ('id' in version) return version.id;
  return (await findBaseVersion(service, `${version.model}@${version.version}`)).id;
}

/** Requests a dry run of a rollout, and prints the forecast. */
export async function printDryRun(service: Service, request: RolloutRequest, options: CreateOptions): Promise<void> {
  const asked = await forecast(service, request);
  if (!options.json) note('dry run: nothing begins');
  const done = await computed(service, asked.id);
  if (options.json) printJson(done);
  if (done.state === 'failed') {
    const why = printable(done.error?.detail ?? done.error?.message ?? 'no reason is given');
    throw new UnsuccessfulResult(`the rollout could not begin: ${why}`, EXIT.endedBadly);
  }
  if (options.json) return;
  process.stdout.write(`${describeForecast(done).split('\n').map(printable).join('\n')}\n`);
  const { version } = request;
  if ('register' in version && version.register !== undefined) {
    note(
      `version ${done.version} is registered now: begin the rollout with the same command without --path and --dry-run`,
    );
  }
}

async function forecast(service: Service, { version, options }: RolloutRequest): Promise<RolloutForecast> {
  const { createBaseModelVersion, createRolloutForecast } = await import('../../../remote/client.ts');
  const { client } = service;
  if ('register' in version && version.register !== undefined) {
    const body = { version: version.version, ...version.register, rollout: options, dry_run: true };
    const { forecast: asked } = await createBaseModelVersion({ client, path: { model: version.model }, body });
    if (asked === null) throw new Error('the service has registered the version, and says nothing of a forecast');
    return asked;
  }
  return createRolloutForecast({ client, body: { base_model_version_id: await idOf(service, version), options } });
}

const POLL_MS = 500;

/** Polls a forecast until a worker has computed it or failed to. */
async function computed({ client }: Service, id: string): Promise<RolloutForecast> {
  const { getRolloutForecast } = await import('../../../remote/client.ts');
  const { setTimeout: sleep } = await import('node:timers/promises');
  return untilInterrupted(`the forecast ${id} is still computed`, async (signal) => {
    for (;;) {
      const found = await getRolloutForecast({ client, path: { id }, signal });
      if (found.state === 'computed' || found.state === 'failed') return found;
      await sleep(POLL_MS, undefined, { signal }).catch(() => signal.throwIfAborted());
    }
  });
}
