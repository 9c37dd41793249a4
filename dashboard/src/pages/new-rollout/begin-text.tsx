import { Text } from '@radix-ui/themes';
import { useQuery } from '@tanstack/react-query';
import { counted, duration } from '../../lib/format.ts';
import { dryRunQuery } from './dry-run/dry-run-queries.ts';
import type { Draft } from './request/draft.ts';

/** Describes the effects of starting the rollout, with the figures of its dry run if there is one. */
export function BeginText({ draft, forecastId }: { draft: Draft; forecastId: string | null }) {
  const { data } = useQuery({ ...dryRunQuery(forecastId ?? ''), enabled: forecastId !== null });
  if (draft.baseModel === '') return 'Choose a base model and a version first.';
  if (data?.state !== 'computed' || data.adapters === null) {
    const registers = draft.target === 'new' ? `Version ${draft.version} is registered, and every` : 'Every';
    const chosen =
      draft.steering === 'own' && (draft.tenants.length > 0 || draft.adapters !== '' || draft.labels !== '');
    return (
      <>
        {registers} {chosen ? 'selected ' : ''}adapter of {draft.baseModel} that has no version for the new one is
        carried over. How many that are, a dry run of this form would say; there is none.
      </>
    );
  }
  const { taken, skipped } = data.adapters;
  const first = data.waves.length > 1 ? data.waves[0]! : null;
  const { predicted } = data.figures.makespan_ms;
  return (
    <>
      <Text as="p">
        {counted(taken, 'adapter')} of {counted(data.tenant_count ?? 0, 'tenant')} {taken === 1 ? 'is' : 'are'} carried
        over to version {data.version} of {data.base_model_name}, and {counted(skipped, 'adapter')}{' '}
        {skipped === 1 ? 'is' : 'are'} not.
      </Text>
      <Text as="p" mt="2">
        {first === null ? 'All of them begin at once' : `Wave 1 with ${counted(first, 'adapter')} begins at once`}
        {predicted !== null && `; it is predicted to take ${duration(predicted)}`}. It can be paused, cancelled and
        rolled back.
      </Text>
    </>
  );
}
