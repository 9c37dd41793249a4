import { Button } from '@radix-ui/themes';
import { Link } from '@tanstack/react-router';
import { useViewer } from '../../api/viewer.ts';
import { PageHeader } from '../../parts/shell/page-header.tsx';
import { AttentionList } from './attention-list.tsx';
import { BaseModels } from './base-models.tsx';
import { EndedRollouts } from './ended-rollouts.tsx';
import { PATHS } from './fleet-queries.ts';
import { RunningRollouts } from './running-rollouts.tsx';

/** Start page: what needs attention, running rollouts, base models, and the last rollouts. */
export default function FleetPage() {
  const { isOperator, operates, tenantName } = useViewer();
  const who = isOperator ? 'every tenant' : (tenantName ?? 'this tenant');
  return (
    <>
      <PageHeader
        title="Fleet"
        description={`Which base model versions the adapters of ${who} are on, and what carries them to the next one.`}
        json={[PATHS.attention, PATHS.running, PATHS.ended, PATHS.baseModels]}
      >
        {operates && (
          <Button asChild>
            <Link to="/rollouts/new">New rollout</Link>
          </Button>
        )}
      </PageHeader>
      <AttentionList />
      <RunningRollouts />
      <BaseModels />
      <EndedRollouts />
    </>
  );
}
