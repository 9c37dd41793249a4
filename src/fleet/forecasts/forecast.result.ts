import type { Prisma } from '../../platform/database/database.ts';
import { LEFT_OUT_REASONS } from '../rollouts/index.ts';
import type { Prediction } from './prediction/predict.ts';
import type { Basis } from './prediction/predict-fleet.ts';

/** Reasons why a rollout would not carry an adapter over: its job would fail, or it would get no job. */
export const SKIP_REASONS = [
  ...(['incompatible', 'dataset_missing', 'not_servable', 'quota_exceeded'] as const),
  ...LEFT_OUT_REASONS,
] as const;
export type SkipReason = (typeof SKIP_REASONS)[number];

/** Result of a forecast in the form in which its row stores it. Members have the names that they have in the API. */
export interface ForecastResult {
  readonly adapters: { readonly total: number; readonly taken: number; readonly skipped: number };
  /** Base model versions that the adapters come from, each with the number of its adapters. */
  readonly old_versions: readonly {
    readonly base_model_version_id: string;
    readonly adapters: number;
    /** Reason why adapters on this version cannot be carried over; null if they can. */
    readonly problem: Prisma.InputJsonObject | null;
  }[];
  /** Tenants with the most jobs, up to a limit. `tenant_count` is the number of all tenants with jobs. */
  readonly tenants: readonly { readonly tenant_id: string; readonly jobs: number }[];
  readonly tenant_count: number;
  readonly skipped: readonly { readonly reason: SkipReason; readonly adapters: number }[];
  /** Number of adapters in each wave, the canary first. */
  readonly waves: readonly number[];
  /** Workers that are ready and can read the new base, counted by device. */
  readonly workers: readonly {
    readonly device: string;
    readonly workers: number;
    readonly tokens_per_second: number | null;
  }[];
  readonly jobs_ahead: number;
  readonly analysis_ms: number;
  readonly prediction: Prediction | null;
  readonly reason: string | null;
  readonly basis: readonly Basis[];
}
