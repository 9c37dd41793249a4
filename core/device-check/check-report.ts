import type { Device } from '../options/devices.ts';
import type { Precision } from '../options/precisions.ts';

/** How far a device's numbers are from the reference's for one random model. A number is null if it is not finite. */
export interface CaseResult {
  readonly name: string;
  /** What the base's matrices are kept in. */
  readonly precision: Precision;
  /** Largest difference of a loss, in nats. */
  readonly losses: number | null;
  /** Largest difference of a logit. */
  readonly logits: number | null;
  /** Largest difference in a factor's gradient, relative to its largest number. */
  readonly gradients: number | null;
  /** What each of the three may be. */
  readonly tolerance: number;
  readonly passed: boolean;
  /** Why there are no numbers; null where there are. */
  readonly error: string | null;
}

/** How far a few steps of AdamW on a device are from the same steps on the reference. */
export interface TrainingResult {
  readonly steps: number;
  /** Largest difference of a step's loss, in nats a label. */
  readonly losses: number | null;
  /** ‖a − b‖ / ‖b‖ of all factors after the last step. */
  readonly factors: number | null;
  readonly tolerance: number;
  readonly passed: boolean;
  readonly error: string | null;
}

/** The median time of one pass over a batch. */
export interface Speed {
  /** Number of input tokens of the batch. */
  readonly tokens: number;
  readonly ms: number;
  readonly tokensPerSecond: number;
}

/** Speeds by kind of pass, each by rising number of tokens. */
export interface Speeds {
  readonly forward: readonly Speed[];
  readonly gradients: readonly Speed[];
}

export interface BenchmarkResult {
  /** The model whose shape was run, with random weights. */
  readonly model: string;
  readonly parameters: number;
  readonly device: Speeds;
  /** The same on the CPU, in the same process; null for the CPU itself. */
  readonly cpu: Speeds | null;
}

/** The findings of one process that checks a device. */
export interface Findings {
  readonly cases: readonly CaseResult[];
  readonly training: TrainingResult | null;
  readonly benchmark: BenchmarkResult | null;
}

/** What TF32 products (ten bits of the fraction) change on an NVIDIA card. */
export interface Tf32Result {
  readonly losses: number | null;
  readonly gradients: number | null;
  /** Speed of gradients with TF32 over that without it; null if one of them was not measured. */
  readonly speedup: number | null;
  /** Whether losses and gradients are off by no more than {@link TF32_TOLERANCE}. */
  readonly near: boolean;
}

/** What losses (in nats) and gradients (relative to each factor's largest number) may be off by for TF32 to count as near. */
export const TF32_TOLERANCE = 1e-2;

/** Everything that is known of a device after its check. */
export interface DeviceCheck extends Findings {
  readonly device: Device;
  /** Name of the processor or card, where the system tells it. */
  readonly hardware: string | null;
  /** Whether the device can be used at all. */
  readonly available: boolean;
  /** Whether every case and the training agree with the reference. */
  readonly works: boolean;
  readonly verdict: string;
  /** The device that it was compared with. */
  readonly reference: Device;
  /** Only on `cuda`. */
  readonly tf32: Tf32Result | null;
  readonly seconds: number;
}
