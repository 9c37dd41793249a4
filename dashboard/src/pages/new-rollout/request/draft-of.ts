import type { BaseModel, RolloutForecast, RolloutOptions, RolloutPolicy } from '@readapt/client';
import { EMPTY_DRAFT, type Entered, type WaveDraft } from './draft.ts';

type AskedAbout = Pick<RolloutForecast, 'base_model_name' | 'base_model_version_id' | 'options'>;

/**
 * Form values that give the request of a dry run again. Fields that were left empty show the values that the service
 * chose.
 * @param ofBaseModel present policy of the base model. If the dry run used the same policy, the form chooses "that of
 * the base model"
 */
export function draftOf(
  { base_model_name, base_model_version_id, options }: AskedAbout,
  ofBaseModel: BaseModel['policy'],
): Entered {
  const { strategy, policy = {} } = options;
  const target = {
    baseModel: base_model_name,
    versionId: base_model_version_id,
    strategy: strategy ?? ('' as const),
  };
  const own = { ...policy, ...controlsOf(options) };
  if (ofBaseModel !== null && isSame(own, ofBaseModel)) return { ...EMPTY_DRAFT, ...target, steering: 'base_model' };
  return { ...EMPTY_DRAFT, ...target, ...steeringOf(own), steering: 'own' };
}

/** Share of adapters that also get a control, as a policy states it. The service stores it outside the policy. */
function controlsOf({ control, control_fraction: fraction }: RolloutOptions): Pick<RolloutPolicy, 'control_fraction'> {
  if (control === 'all') return { control_fraction: 1 };
  return control === 'sample' && fraction !== undefined ? { control_fraction: fraction } : {};
}

function isSame(own: RolloutPolicy, { strategy: _, ...ofBaseModel }: RolloutPolicy): boolean {
  const sorted = (policy: RolloutPolicy) =>
    JSON.stringify(Object.entries(policy).sort(([a], [b]) => a.localeCompare(b)));
  return sorted(own) === sorted(ofBaseModel);
}

function steeringOf(policy: RolloutPolicy): Partial<Entered> {
  const { selection = {}, waves = [], approve = 'auto', pause_if: pauseIf = {}, deadline } = policy;
  const { priority = '', provisional = '', supersede = '', late = '' } = policy;
  const approval = typeof approve === 'string' ? { approve } : { approve: 'url' as const, approveUrl: approve.url };
  return {
    tenants: selection.tenants ?? [],
    adapters: (selection.adapters ?? []).join(', '),
    labels: labelText(selection.labels ?? {}),
    waves: waves.map(waveDraft),
    ...approval,
    unreadyShare: percentText(pauseIf.unready_share),
    metricDrop: text(pauseIf.metric_drop),
    negativeFlips: percentText(pauseIf.negative_flips),
    minJobs: text(pauseIf.min_jobs),
    concurrency: text(policy.concurrency),
    deadline: deadline === undefined ? '' : localTime(new Date(deadline)),
    budget: text(policy.budget_device_seconds),
    controlFraction: percentText(policy.control_fraction),
    priority,
    provisional,
    supersede,
    late,
  };
}

function waveDraft(wave: NonNullable<RolloutPolicy['waves']>[number]): WaveDraft {
  if ('label' in wave) return { kind: 'label', value: labelText(wave.label) };
  return 'count' in wave ? { kind: 'count', value: text(wave.count) } : { kind: 'percent', value: text(wave.percent) };
}

const text = (value: number | undefined): string => (value === undefined ? '' : String(value));

/** Text of a form field in percent for a fraction of the API. */
const percentText = (share: number | undefined): string =>
  share === undefined ? '' : String(Number((share * 100).toPrecision(12)));

const labelText = (labels: Readonly<Record<string, string>>): string =>
  Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(', ');

/** Value of a `datetime-local` input in the browser's time zone: `2026-11-28T18:00`, with seconds if they are not 0. */
function localTime(time: Date): string {
  const local = new Date(time.getTime() - time.getTimezoneOffset() * 60_000).toISOString();
  return local.slice(0, time.getSeconds() === 0 ? 16 : 19);
}
