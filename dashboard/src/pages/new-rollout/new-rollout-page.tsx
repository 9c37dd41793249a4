import { useQuery } from '@tanstack/react-query';
import { useSearch } from '@tanstack/react-router';
import { getBaseModelVersion } from '@readapt/client';
import { useState } from 'react';
import { client } from '../../api/client.ts';
import { useViewer } from '../../api/viewer.ts';
import { Empty, Loaded } from '../../parts/feedback/loaded.tsx';
import { PageHeader } from '../../parts/shell/page-header.tsx';
import { forecastOf } from './dry-run/dry-run-queries.ts';
import { EMPTY_DRAFT } from './request/draft.ts';
import { RolloutForm } from './rollout-form.tsx';

/** A rollout as a form, with a dry run and the code of the same request beside it. */
export default function NewRolloutPage() {
  const { operates } = useViewer();
  const { dry_run: dryRun } = useSearch({ from: '/shell/rollouts/new' });
  return (
    <>
      <PageHeader
        title="New rollout"
        description="Carries the adapters of a base model over to another version of it. Ask what it would do before you begin it."
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

/**
 * The form begins with the version that the address names, by itself or by a dry run. What the address says later, such as the dry run that
 * was asked for, changes nothing of what somebody has typed.
 */
function Beginning() {
  const search = useSearch({ from: '/shell/rollouts/new' });
  const [{ version: versionId, dry_run: dryRun }] = useState(search);
  const named = useQuery({
    queryKey: ['new-rollout', versionId, dryRun],
    queryFn: ({ signal }) => (dryRun === undefined ? versionOf(versionId, signal) : targetOfDryRun(dryRun, signal)),
    staleTime: Number.POSITIVE_INFINITY,
    enabled: versionId !== undefined || dryRun !== undefined,
  });
  if (versionId === undefined && dryRun === undefined) return <RolloutForm initial={EMPTY_DRAFT} />;
  return (
    <Loaded query={named} what="the version" height={300}>
      {(target) => <RolloutForm initial={{ ...EMPTY_DRAFT, ...target }} />}
    </Loaded>
  );
}

async function versionOf(id: string | undefined, signal: AbortSignal) {
  if (id === undefined) return {};
  const { base_model_name: baseModel } = await getBaseModelVersion({ client, path: { id }, signal });
  return { baseModel, versionId: id };
}

async function targetOfDryRun(id: string, signal: AbortSignal) {
  const { base_model_name: baseModel, base_model_version_id: versionId } = await forecastOf(id, signal);
  return { baseModel, versionId };
}
