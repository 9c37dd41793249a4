import { useQuery } from '@tanstack/react-query';
import { useSearch } from '@tanstack/react-router';
import { getBaseModel, getBaseModelVersion } from '@readapt/client';
import { useState } from 'react';
import { client } from '../../api/client.ts';
import { useViewer } from '../../api/viewer.ts';
import { Empty, Loaded } from '../../parts/feedback/loaded.tsx';
import { PageHeader } from '../../parts/shell/page-header.tsx';
import { forecastOf } from './dry-run/dry-run-queries.ts';
import { draftOf } from './request/draft-of.ts';
import { EMPTY_DRAFT, type Entered } from './request/draft.ts';
import { RolloutForm } from './rollout-form.tsx';

/** Page with the form for a new rollout, its dry run, and code for the same request. */
export default function NewRolloutPage() {
  const { operates } = useViewer();
  const { dry_run: dryRun } = useSearch({ from: '/shell/rollouts/new' });
  return (
    <>
      <PageHeader
        title="New rollout"
        description={
          'Carries the adapters of a base model over to another version of it. ' +
          'Ask what it would do before you begin it.'
        }
        parents={[{ label: 'Rollouts', to: '/rollouts' }]}
        json={dryRun === undefined ? ['/v1/base-models'] : [`/v1/rollout-forecasts/${dryRun}`]}
      />
      {operates ? (
        <Beginning />
      ) : (
        <Empty title="This key may not begin a rollout.">
          Sign in with a key of an operator that may write. A tenant's adapters are carried over by the operator's
          rollouts.
        </Empty>
      )}
    </>
  );
}

const EMPTY: Entered = { ...EMPTY_DRAFT, steering: null };

/**
 * Loads the form's initial values: the version that the address names, or all inputs of the dry run that it names.
 * Later changes of the address, such as a new dry run, do not reset the form.
 */
function Beginning() {
  const search = useSearch({ from: '/shell/rollouts/new' });
  const [{ version: versionId, dry_run: dryRun }] = useState(search);
  const named = useQuery({
    queryKey: ['new-rollout', versionId, dryRun],
    queryFn: ({ signal }) => (dryRun === undefined ? versionOf(versionId, signal) : askedByDryRun(dryRun, signal)),
    staleTime: Number.POSITIVE_INFINITY,
    enabled: versionId !== undefined || dryRun !== undefined,
  });
  if (versionId === undefined && dryRun === undefined) return <RolloutForm initial={EMPTY} />;
  return (
    <Loaded query={named} what="the version" height={300}>
      {(initial) => <RolloutForm initial={initial} restored={dryRun !== undefined} />}
    </Loaded>
  );
}

async function versionOf(id: string | undefined, signal: AbortSignal): Promise<Entered> {
  if (id === undefined) return EMPTY;
  const { base_model_name: baseModel } = await getBaseModelVersion({ client, path: { id }, signal });
  return { ...EMPTY, baseModel, versionId: id };
}

async function askedByDryRun(id: string, signal: AbortSignal): Promise<Entered> {
  const forecast = await forecastOf(id, signal);
  const { policy } = await getBaseModel({ client, path: { model: forecast.base_model_name }, signal });
  return draftOf(forecast, policy);
}
