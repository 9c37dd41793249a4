import { createJobControl } from '../../../src/fleet/job-control/job-control.service.ts';
import { createJobService } from '../../../src/fleet/jobs/index.ts';
import { NO_QUOTAS } from '../../../src/platform/config/quotas.ts';

type Dependencies = Omit<Parameters<typeof createJobControl>[0], 'quotas'>;

/** Everything that can be asked of jobs and done to them, by tenants without quotas. */
export function jobServices(dependencies: Dependencies) {
  const { db } = dependencies;
  return { ...createJobService({ db }), ...createJobControl({ ...dependencies, quotas: NO_QUOTAS }) };
}
