import { expect, test } from 'vitest';
import { codeOf } from '../../../dashboard/src/pages/new-rollout/request/code.ts';
import { draftOf } from '../../../dashboard/src/pages/new-rollout/request/draft-of.ts';
import { EMPTY_DRAFT, type Draft } from '../../../dashboard/src/pages/new-rollout/request/draft.ts';
import { toRequest } from '../../../dashboard/src/pages/new-rollout/request/request.ts';
import { parseLabels } from '../../../dashboard/src/lib/labels.ts';

const CHOSEN: Draft = { ...EMPTY_DRAFT, baseModel: 'llama', versionId: 'bmv_1' };
const NEW: Draft = { ...CHOSEN, target: 'new', version: '2', path: '/models/llama 2' };

test('what is left empty is left to the service', () => {
  expect(toRequest(CHOSEN)).toEqual({
    request: { path: '/v1/rollouts', body: { base_model_version_id: 'bmv_1' } },
    options: {},
    errors: {},
  });
  expect(toRequest(NEW).request).toEqual({
    path: '/v1/base-models/llama/versions',
    body: { version: '2', path: '/models/llama 2', rollout: {} },
  });
});

test('an own policy stands in the place of that of the base model, also if it is empty', () => {
  expect(toRequest({ ...CHOSEN, baseModelHasPolicy: true, steering: 'own' }).options).toEqual({ policy: {} });
  expect(toRequest({ ...CHOSEN, baseModelHasPolicy: true, steering: 'base_model' }).options).toEqual({});
});

/** Draft with every field filled in. */
const FULL: Draft = {
  ...CHOSEN,
  strategy: 'revert',
  tenants: ['ten_1'],
  adapters: 'adp_1, adp_2\nadp_3',
  labels: 'tier=gold',
  waves: [
    { kind: 'label', value: 'tier:internal' },
    { kind: 'count', value: '5' },
    { kind: 'percent', value: '12.5' },
  ],
  approve: 'url',
  approveUrl: 'https://approve.example',
  unreadyShare: '20',
  metricDrop: '0.01',
  negativeFlips: '5.5',
  minJobs: '3',
  concurrency: '4',
  deadline: '2026-12-01T12:00',
  budget: '3600',
  controlFraction: '7',
  priority: 'high',
  provisional: 'revert',
  supersede: 'stop',
  late: 'join',
};

test('everything that the form has arrives where the API expects it', () => {
  const { options, errors } = toRequest(FULL);
  expect(errors).toEqual({});
  expect(options).toEqual({
    strategy: 'revert',
    policy: {
      selection: { tenants: ['ten_1'], adapters: ['adp_1', 'adp_2', 'adp_3'], labels: { tier: 'gold' } },
      waves: [{ label: { tier: 'internal' } }, { count: 5 }, { percent: 12.5 }],
      approve: { url: 'https://approve.example' },
      pause_if: { unready_share: 0.2, metric_drop: 0.01, negative_flips: 0.055, min_jobs: 3 },
      concurrency: 4,
      deadline: new Date('2026-12-01T12:00').toISOString(),
      budget_device_seconds: 3600,
      control_fraction: 0.07,
      priority: 'high',
      provisional: 'revert',
      supersede: 'stop',
      late: 'join',
    },
  });
});

test('the form of a dry run makes its request again, from options as the service keeps them', () => {
  const { policy = {}, ...options } = toRequest(FULL).options;
  const { control_fraction: fraction, ...rest } = policy;
  const asked = { base_model_name: 'llama', base_model_version_id: 'bmv_1' };
  const kept = { ...options, control: 'sample', control_fraction: fraction, policy: rest } as const;
  const form = draftOf({ ...asked, options: kept }, null);
  expect(form).toEqual({
    ...FULL,
    steering: 'own',
    adapters: 'adp_1, adp_2, adp_3',
    waves: FULL.waves.with(0, { kind: 'label', value: 'tier=internal' }),
  });
  expect(toRequest({ ...form, steering: 'own', baseModelHasPolicy: false }).request).toEqual(toRequest(FULL).request);
  // If the base model has the same policy, that one applies.
  const ofBaseModel = draftOf({ ...asked, options: kept }, { ...policy, strategy: 'revert' });
  expect(ofBaseModel).toEqual({
    ...EMPTY_DRAFT,
    baseModel: 'llama',
    versionId: 'bmv_1',
    strategy: 'revert',
    steering: 'base_model',
  });
});

test('what cannot be sent is named where the API would name it', () => {
  const { errors } = toRequest({
    ...EMPTY_DRAFT,
    labels: 'gold',
    waves: [{ kind: 'count', value: '' }],
    concurrency: 'four',
    controlFraction: '120',
  });
  expect(Object.keys(errors).sort()).toEqual([
    'base_model',
    'base_model_version_id',
    'policy.concurrency',
    'policy.control_fraction',
    'policy.selection.labels',
    'policy.waves.0',
  ]);
});

test('labels are read in both notations', () => {
  expect(parseLabels('tier=gold, team:search')).toEqual({ labels: { tier: 'gold', team: 'search' }, error: null });
  expect(parseLabels(' ')).toEqual({ labels: null, error: null });
  expect(parseLabels('tier=')).toEqual({ labels: null, error: '"tier=" is not key=value' });
});

test('code has the request and survives what a shell and Python read otherwise', () => {
  const { request } = toRequest({ ...NEW, path: "/models/it's" });
  expect(codeOf('curl', request, 'https://readapt.example')).toContain(String.raw`"path": "/models/it'\''s"`);
  expect(codeOf('TypeScript', request, 'https://readapt.example')).toContain('path: { model: "llama" },');
  const python = codeOf('Python', request, 'https://readapt.example');
  expect(python).toContain('create_base_model_version.sync_detailed("llama", client=client, body=body)');
  expect(python).toContain('"rollout": {},');
});
