import {
  createBaseModelVersion,
  createRolloutForecast,
  getRolloutForecast,
  type RolloutForecast,
} from '@readapt/client';
import { client } from '../../../api/client.ts';
import { polled } from '../../../api/polling.ts';
import type { Draft } from '../request/draft.ts';
import { toRequest } from '../request/request.ts';

export const forecastOf = (id: string, signal: AbortSignal) => getRolloutForecast({ client, path: { id }, signal });

export const dryRunQuery = (id: string) => ({
  queryKey: ['rollout-forecasts', id],
  queryFn: ({ signal }: { signal: AbortSignal }) => forecastOf(id, signal),
  ...polled<RolloutForecast>({ every: 1000, until: ({ state }) => state === 'computed' || state === 'failed' }),
});

/** Requests a dry run of the form's rollout. A new version is registered thereby, because its files have to be read. */
export async function askDryRun(draft: Draft): Promise<RolloutForecast> {
  const { request, options } = toRequest(draft);
  if (draft.target === 'existing') {
    return createRolloutForecast({ client, body: { base_model_version_id: draft.versionId, options } });
  }
  const { version, path, serving_name: servingName } = request.body as Record<string, string>;
  const { forecast } = await createBaseModelVersion({
    client,
    path: { model: draft.baseModel },
    body: { version: version!, path: path!, serving_name: servingName, rollout: options, dry_run: true },
  });
  if (forecast === null) throw new Error('the service has registered the version without a dry run');
  return forecast;
}
