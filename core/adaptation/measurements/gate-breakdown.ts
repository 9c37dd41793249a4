import type { TokenizedExample } from '../../data/example.ts';
import type { GateMeasurement, SliceRows } from '../../method/gate/readiness-gate.ts';
import type { GateRule } from '../../options/gates.ts';
import type { JobOutcome } from '../job-outcome.ts';
import { negativeFlips, type NegativeFlip } from './negative-flips.ts';
import { requireCriticalSlices, sliceRows, sliceValues, type SliceValues } from './slices.ts';

type Measured = Pick<GateMeasurement, 'metric' | 'outcomes'>;

export const NO_BREAKDOWN: Pick<JobOutcome, 'slices' | 'flips'> = { slices: { old: {}, best: {} }, flips: [] };

/**
 * Divides measurements on the gate rows by slice, and lists the rows that a candidate has wrong and the reference
 * right.
 */
export class GateBreakdown {
  readonly sliceRows: SliceRows;
  readonly #gate: readonly TokenizedExample[];
  #compared: GateMeasurement | null = null;
  #old: GateMeasurement | null = null;

  /** @throws TaskDataError if no gate row is in one of the slices that the gate names */
  constructor(gate: readonly TokenizedExample[], rule: GateRule) {
    this.#gate = gate;
    this.sliceRows = sliceRows(gate);
    requireCriticalSlices(rule, this.sliceRows);
  }

  /**
   * Sets the measurement of the reference version, with which candidates are compared to find negative flips, and that
   * of the old version, whose metric on each slice is reported. Either is null if the version was not measured.
   */
  compareWith(found: { readonly reference: GateMeasurement | null; readonly old: GateMeasurement | null }): void {
    this.#compared = found.reference;
    this.#old = found.old;
  }

  slicesOf(measured: Measured): SliceValues {
    return sliceValues(this.sliceRows, measured);
  }

  flipsOf(candidate: Measured): NegativeFlip[] {
    return negativeFlips(this.#gate, this.#compared, candidate);
  }

  /**
   * Returns the metric by slice, for the old version and for the best candidate, and the best candidate's negative
   * flips.
   */
  of(best: Measured | null): Pick<JobOutcome, 'slices' | 'flips'> {
    const old = this.#old ? this.slicesOf(this.#old) : {};
    return { slices: { old, best: best ? this.slicesOf(best) : {} }, flips: best ? this.flipsOf(best) : [] };
  }
}
