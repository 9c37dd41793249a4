import type { Prisma } from '../../platform/database/database.ts';
import { LEFT_OUT_REASONS } from '../rollouts/index.ts';
import type { Prediction } from './prediction/predict.ts';
import type { Basis } from './prediction/predict-fleet.ts';

/** Reasons why adapters are not carried over: their jobs would fail, or they would get none. */
export const SKIP_REASONS = [
  ...(['incompatible', 'dataset_missing', 'not_servable', 'quota_exceeded'] as const),
  ...LEFT_OUT_REASONS,
] as const;
export type SkipReason = (typeof SKIP_REASONS)[number];

/** Result of a forecast as its row stores it. The API uses the same names. */
export interface ForecastResult {
  readonly adapters: { readonly total: number; readonly taken: number; readonly skipped: number };
  /** Figures for each base model version that adapters come from. */
  readonly old_versions: readonly {
    readonly base_model_version_id: string;
    readonly adapters: number;
    /** Reason why no adapter of this version can be carried over; null if adapters can be. */
    readonly problem: Prisma.InputJsonObject | null;
  }[];
  /** Tenants with the most jobs; `tenant_count` counts all. */
  readonly tenants: readonly { readonly tenant_id: string; readonly jobs: number }[];
  readonly tenant_count: number;
  readonly skipped: readonly { readonly reason: SkipReason; readonly adapters: number }[];
  /** Number of adapters of each wave. */
  readonly waves: readonly number[];
  /** Ready workers that can read the new base, by device. */
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
