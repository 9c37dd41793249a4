/**
 * The tests of `npm test`: every feature of the README once on the real database, queue, worker and child process, in
 * four minutes on two cores. `npm run test:rest` runs what is left, and `npm run test:all` both.
 */
import { existsSync } from 'node:fs';

/** For each feature, tests that run in `npm test`. */
const FEATURES: Readonly<Record<string, readonly string[]>> = {
  'a new version carries a fleet over, and a killed worker resumes from its checkpoint': ['test/e2e/rollout.test.ts'],
  'one adapter without a server': ['test/unit/cli/rebase.test.ts'],
  'the service, its database and its keys': [
    'test/integration/stack/data-folder.test.ts',
    'test/integration/stack/key-commands.test.ts',
    'test/integration/platform/auth.test.ts',
    'test/integration/database/migrations.test.ts',
    'test/integration/platform/dashboard.test.ts',
  ],
  'the API': [
    'test/integration/platform/base-models.test.ts',
    'test/integration/platform/idempotency.test.ts',
    'test/integration/platform/problems.test.ts',
    'test/integration/platform/pagination.test.ts',
    'test/integration/adapters/adapters.test.ts',
    'test/integration/datasets/datasets.test.ts',
    'test/integration/client/transfers.test.ts',
  ],
  'bases and adapters from folders, hubs, buckets and uploads': [
    'test/integration/base-sources/register.test.ts',
    'test/integration/base-uploads/uploads.test.ts',
    'test/integration/adapters/adapter-archives.test.ts',
  ],
  'the queue, and jobs that end, fail and are taken over': [
    'test/integration/queue/queue.test.ts',
    'test/integration/jobs/lifecycle.test.ts',
    'test/integration/jobs/kill.test.ts',
  ],
  'rollouts: waves, approvals, pauses, forecasts, provisional versions and rollbacks': [
    'test/integration/rollouts/routes.test.ts',
    'test/integration/rollouts/control/waves.test.ts',
    'test/integration/rollouts/control/approvals.test.ts',
    'test/integration/rollouts/control/pause.test.ts',
    'test/integration/rollouts/forecasts/forecast.test.ts',
    'test/integration/rollouts/provisional/requests.test.ts',
    'test/integration/rollbacks/rollback.test.ts',
  ],
  'the terminal, and Kubernetes': [
    'test/integration/terminal/watch-rollout.test.ts',
    'test/integration/terminal/export-kubernetes.test.ts',
  ],
  'serving engines and replicas': [
    'test/integration/serving/resolve.test.ts',
    'test/integration/serving/folder.test.ts',
    'test/integration/replicas/sync.test.ts',
  ],
  'events and webhooks': [
    'test/integration/events/event-streams.test.ts',
    'test/integration/webhooks/delivery.test.ts',
  ],
  'reports, metrics, traces and the audit log': [
    'test/integration/reports/report.test.ts',
    'test/integration/metrics/service-metrics.test.ts',
    'test/integration/tracing/traces.test.ts',
    'test/integration/audit/audit-log.test.ts',
  ],
  'tenants apart, and their quotas': [
    'test/integration/access/grants.test.ts',
    'test/integration/access/forgotten-where.test.ts',
    'test/integration/quotas/quotas.test.ts',
  ],
  'deletion, retention and repair': [
    'test/integration/housekeeping/deletion.test.ts',
    'test/integration/housekeeping/retention.test.ts',
    'test/integration/housekeeping/doctor.test.ts',
  ],
  devices: ['test/unit/cli/devices/devices.test.ts'],
};

/** Unit tests that take 4 s or more of a core each. All others run in `npm test`. */
const LONG_UNIT_TESTS: readonly string[] = [
  'test/unit/adaptation/distillation/distilled-job.test.ts',
  'test/unit/adaptation/job-fusion.test.ts',
  'test/unit/adaptation/prompts/prompts-alone.test.ts',
  'test/unit/cli/fixtures.test.ts',
  'test/unit/cli/kubernetes/export-files.test.ts',
  'test/unit/client/ended-requests.test.ts',
  'test/unit/engine/cache/graph-cache-program.test.ts',
  'test/unit/engine/decoder/attention-blocks.test.ts',
  'test/unit/engine/decoder/soft-targets.test.ts',
  'test/unit/engine/devices/probe/probe.test.ts',
  'test/unit/engine/generation/cached-logits.test.ts',
  'test/unit/engine/golden.test.ts',
  'test/unit/engine/memory/memory.test.ts',
  'test/unit/engine/runtimes.test.ts',
  'test/unit/formats/hostile-adapters.test.ts',
  'test/unit/formats/peft-versions.test.ts',
  'test/unit/method/evolution/folder-evolution.test.ts',
  'test/unit/method/gate/readiness-gate.test.ts',
  'test/unit/openapi/document.test.ts',
  'test/unit/statistics/paired-statistics.test.ts',
  'test/unit/training/int8-training.test.ts',
  'test/unit/workers/bases/base-file-cache.test.ts',
  'test/unit/workers/process.test.ts',
];

/** Files of a project that a run takes or leaves out. */
interface Selection {
  readonly include: readonly string[];
  readonly exclude: readonly string[];
}

/** Selects the test files of a project for a mode of vitest: `short`, `rest`, or any other for all of them. */
export function selectFiles(project: string, mode: string): Selection {
  const all = `test/${project}/**/*.test.ts`;
  const isOfProject = (file: string): boolean => file.startsWith(`test/${project}/`);
  const features = Object.values(FEATURES).flat().filter(isOfProject);
  const long = LONG_UNIT_TESTS.filter(isOfProject);
  const absent = [...features, ...long].filter((file) => !existsSync(file));
  if (absent.length > 0) throw new Error(`test/short-run.ts names files that do not exist: ${absent.join(', ')}`);
  const isUnit = project === 'unit';
  if (mode === 'short') return isUnit ? { include: [all], exclude: long } : { include: features, exclude: [] };
  if (mode === 'rest') return isUnit ? { include: long, exclude: [] } : { include: [all], exclude: features };
  return { include: [all], exclude: [] };
}
