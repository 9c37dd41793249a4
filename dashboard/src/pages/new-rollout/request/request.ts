import type { RolloutOptions, RolloutPolicy } from '@readapt/client';
import { parseLabels } from '../../../lib/labels.ts';
import type { Draft, WaveDraft } from './draft.ts';

/** Path and body of the POST request that the form for a new rollout sends. */
export interface RolloutRequest {
  readonly path: string;
  readonly body: Readonly<Record<string, unknown>>;
}

/** Error messages by the API's name of the field: `policy.waves.0.percent`. */
export type FieldErrors = Readonly<Record<string, string>>;

interface Built {
  readonly request: RolloutRequest;
  readonly options: RolloutOptions;
  /** Errors in the form that prevent sending. The service validates everything else. */
  readonly errors: FieldErrors;
}

/**
 * Builds the request of the form. Empty fields are left out, so that the defaults of the service and the base model
 * apply.
 */
export function toRequest(draft: Draft): Built {
  const errors: Record<string, string> = {};
  const options = optionsOf(draft, errors);
  if (draft.baseModel === '') errors.base_model = 'choose a base model';
  if (draft.target === 'existing') {
    if (draft.versionId === '') errors.base_model_version_id = 'choose a version';
    const body = { base_model_version_id: draft.versionId, ...(isEmpty(options) ? {} : { options }) };
    return { request: { path: '/v1/rollouts', body }, options, errors };
  }
  if (draft.version === '') errors.version = 'give the version a name';
  if (draft.path === '') errors.path = 'say in which folder the model is';
  const { version, path, servingName } = draft;
  const body = { ...withoutEmpty({ version, path, serving_name: servingName }), rollout: options };
  return {
    request: { path: `/v1/base-models/${encodeURIComponent(draft.baseModel)}/versions`, body },
    options,
    errors,
  };
}

/** Builds the rollout's options. @param errors receives a message for each field that cannot be parsed */
function optionsOf(draft: Draft, errors: Record<string, string>): RolloutOptions {
  const strategy = draft.strategy === '' ? {} : { strategy: draft.strategy };
  if (draft.steering === 'base_model') return strategy;
  const policy = policyOf(draft, errors);
  return isEmpty(policy) && !draft.baseModelHasPolicy ? strategy : { ...strategy, policy };
}

function policyOf(draft: Draft, errors: Record<string, string>): RolloutPolicy {
  const number = (text: string, name: string) => numberOf(text, (error) => (errors[name] = error));
  const share = (text: string, name: string) => shareOf(number(text, name), (error) => (errors[name] = error));
  const selection = withoutEmpty({
    tenants: draft.tenants,
    adapters: idsOf(draft.adapters),
    labels: labelsOf(draft.labels, (error) => (errors['policy.selection.labels'] = error)),
  });
  const pauseIf = withoutEmpty({
    unready_share: share(draft.unreadyShare, 'policy.pause_if.unready_share'),
    metric_drop: number(draft.metricDrop, 'policy.pause_if.metric_drop'),
    negative_flips: share(draft.negativeFlips, 'policy.pause_if.negative_flips'),
    min_jobs: number(draft.minJobs, 'policy.pause_if.min_jobs'),
  });
  return withoutEmpty({
    selection,
    waves: draft.waves.map((wave, index) => waveOf(wave, `policy.waves.${index}`, errors)),
    approve: draft.approve === 'url' ? { url: draft.approveUrl } : draft.approve === 'auto' ? undefined : draft.approve,
    pause_if: pauseIf,
    concurrency: number(draft.concurrency, 'policy.concurrency'),
    deadline: timeOf(draft.deadline),
    budget_device_seconds: number(draft.budget, 'policy.budget_device_seconds'),
    control_fraction: share(draft.controlFraction, 'policy.control_fraction'),
    priority: draft.priority,
    provisional: draft.provisional,
    supersede: draft.supersede,
    late: draft.late,
  });
}

function waveOf({ kind, value }: WaveDraft, name: string, errors: Record<string, string>) {
  if (value.trim() === '') errors[name] = 'say how large the wave is, or take it away';
  if (kind === 'label') return { label: labelsOf(value, (error) => (errors[name] = error)) ?? {} };
  return { [kind]: numberOf(value, (error) => (errors[name] = error)) };
}

function numberOf(text: string, fail: (error: string) => void): number | undefined {
  if (text.trim() === '') return undefined;
  const value = Number(text);
  if (!Number.isFinite(value)) fail(`"${text}" is not a number`);
  return value;
}

/**
 * Converts a percentage to a fraction for the API.
 * @param fail called with a message if the percentage is not within 0 to 100
 */
function shareOf(percent: number | undefined, fail: (error: string) => void): number | undefined {
  if (percent === undefined) return undefined;
  if (percent < 0 || percent > 100) fail('give a percentage from 0 to 100');
  return Number((percent / 100).toPrecision(12));
}

function labelsOf(text: string, fail: (error: string) => void): Record<string, string> | undefined {
  const { labels, error } = parseLabels(text);
  if (error !== null) fail(error);
  return labels ?? undefined;
}

function idsOf(text: string): string[] {
  return text.split(/[\s,]+/).filter((id) => id !== '');
}

function timeOf(local: string): string | undefined {
  const time = new Date(local);
  return Number.isNaN(time.getTime()) ? undefined : time.toISOString();
}

function withoutEmpty(values: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => !isEmpty(value)));
}

function isEmpty(value: unknown): boolean {
  if (value === undefined || value === '') return true;
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0;
}
