import type { Device } from '../options/devices.ts';
import type { Precision } from '../options/precisions.ts';

/**
 * Distances between a device's numbers and the reference's for one random model. A number is null if it is not finite.
 */
export interface CaseResult {
  readonly name: string;
  /** Precision of the base's matrices. */
  readonly precision: Precision;
  /** Largest difference between a loss on the device and that of the reference, in nats. */
  readonly losses: number | null;
  /** Largest difference between a logit on the device and that of the reference. */
  readonly logits: number | null;
  /**
   * Largest difference between the gradient of a LoRA factor on the device and that of the reference, relative to the
   * largest magnitude in that gradient.
   */
  readonly gradients: number | null;
  /** Largest difference of losses, logits and gradients at which the case passes. */
  readonly tolerance: number;
  readonly passed: boolean;
  /** Error that kept the case from running; null if none did. */
  readonly error: string | null;
}

/** Distances between a few steps of AdamW on a device and the same steps on the reference. */
export interface TrainingResult {
  readonly steps: number;
  /** Largest difference of a step's loss, in nats a label. */
  readonly losses: number | null;
  /**
   * Relative error ‖a − b‖ / ‖b‖ over all factors after the last step, where a are the device's factors and b the
   * reference's.
   */
  readonly factors: number | null;
  readonly tolerance: number;
  readonly passed: boolean;
  readonly error: string | null;
}

/** Speed of one kind of pass over a batch, by the median time of several runs. */
export interface Speed {
  /** Number of input tokens of the batch. */
  readonly tokens: number;
  readonly ms: number;
  readonly tokensPerSecond: number;
}

/** Speeds of forward passes and of gradients, each in ascending order of the batch's tokens. */
export interface Speeds {
  readonly forward: readonly Speed[];
  readonly gradients: readonly Speed[];
}

export interface BenchmarkResult {
  /** Name of the model whose shape the benchmark used, with random weights. */
  readonly model: string;
  readonly parameters: number;
  readonly device: Speeds;
  /** Speeds of the CPU, measured in the same process; null if the checked device is the CPU. */
  readonly cpu: Speeds | null;
}

/** Results of one process that checks a device. A result is null if the process did not reach it. */
export interface Findings {
  readonly cases: readonly CaseResult[];
  readonly training: TrainingResult | null;
  readonly benchmark: BenchmarkResult | null;
}

/** Effect of computing matrix products in TF32, a format with ten fraction bits, on an NVIDIA card. */
export interface Tf32Result {
  readonly losses: number | null;
  readonly gradients: number | null;
  /** Speed of gradients with TF32 divided by their speed without TF32; null if one of them was not measured. */
  readonly speedup: number | null;
  /** Whether losses and gradients differ by no more than {@link TF32_TOLERANCE}. */
  readonly near: boolean;
}

/**
 * Largest difference of losses (in nats) and gradients (relative to the largest magnitude of each factor) at which
 * results with TF32 count as near the reference.
 */
export const TF32_TOLERANCE = 1e-2;

/** Result of checking a device, with a verdict in words. */
export interface DeviceCheck extends Findings {
  readonly device: Device;
  /** Name of the processor or card; null if the system does not tell. */
  readonly hardware: string | null;
  /** Whether the device can be opened at all. */
  readonly available: boolean;
  /** Whether every case and the training agree with the reference. */
  readonly works: boolean;
  readonly verdict: string;
  /** Reference device of the comparison. */
  readonly reference: Device;
  /** Effect of TF32 on the results and the speed; null on devices other than `cuda`. */
  readonly tf32: Tf32Result | null;
  readonly seconds: number;
}
