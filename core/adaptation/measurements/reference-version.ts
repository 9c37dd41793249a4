import type { BaseCache, LoadedBase } from '../../engine/base-cache.ts';
import { FormatError, isSystemFault } from '../../formats/errors.ts';
import { loadAdapter } from '../../formats/peft/peft-adapter.ts';
import type { GateMeasurement } from '../../method/gate/readiness-gate.ts';
import { needsOldVersion } from '../../options/gates.ts';
import type { Adapter } from '../../models/lora/adapter.ts';
import type { Precision } from '../../options/precisions.ts';
import type { JobEvent, Publication } from '../job-events.ts';
import type { AnchorSpec, JobSpec } from '../job-spec.ts';
import type { NewBase } from '../setup/new-base.ts';
import type { ExactGate } from './exact-gate.ts';
import { writersMeasurement, type CountedFrom, type GateOutcomes } from './gate-outcomes.ts';
import { givenOutcomes, isKnown, measureOld, storedOld, type KnownOld } from './old-version.ts';

/** How a version did on its own base. */
export interface MeasuredVersion {
  readonly measured: GateMeasurement;
  /** The precision that its base is computed in. */
  readonly precision: Precision;
}

export interface ReferenceOptions {
  readonly bases: BaseCache;
  readonly exact: ExactGate;
  readonly spec: Pick<JobSpec, 'oldBase' | 'anchor' | 'measuresOld'>;
  readonly oldAdapter: Adapter;
  /** What is known of the old adapter without measuring it. */
  readonly knownOld: KnownOld;
  /** The version that has written the answers of the rows, which came without: it is right by definition. Default: none. */
  readonly writer?: 'anchor' | 'old' | undefined;
  /** The new base, as far as it is known before it is loaded. */
  readonly newVersion: Pick<LoadedBase, 'endOfTextIds'>;
  emit(event: Exclude<JobEvent, Publication>): void;
  /** Takes the value of the old adapter. */
  noteOld(value: number): void;
}

/**
 * The version that a gate compares candidates with: the anchor, if the job is given one and its margin counts from a version, or
 * else the old adapter. An anchor that is neither known on the gate rows nor can be measured on them gives way to the old adapter,
 * with a warning.
 */
export class ReferenceVersion {
  readonly #options: ReferenceOptions;
  #anchor: AnchorSpec | null;
  #measuredAnchor: GateOutcomes | null = null;

  constructor(options: ReferenceOptions) {
    const { spec, exact, writer } = options;
    this.#options = options;
    // An anchor that has not written the answers has given way to the old version already.
    this.#anchor = exact.gate.kind === 'absolute' || writer === 'old' ? null : (spec.anchor ?? null);
  }

  /** Whether candidates are compared with it, by the gate or for those who asked for that. */
  get isCompared(): boolean {
    const { exact, spec } = this.#options;
    return needsOldVersion(exact.gate) || spec.measuresOld === 'before';
  }

  /** Whether it has to be measured, which is best done before the new base is loaded. */
  isUnknown(): boolean {
    const { exact, newVersion } = this.#options;
    return this.isCompared && !isKnown(this.#known(), exact, newVersion);
  }

  /**
   * Measures it on its own base, which is loaded for that. Null if the anchor has given way to an old adapter that need not be
   * measured.
   * @param precision default: what is chosen for its base
   */
  async measure(precision?: Precision): Promise<MeasuredVersion | null> {
    if (this.#anchor === null) return this.#measureOld(precision);
    const measured = await this.#measureAnchor(this.#anchor, precision);
    return measured ?? (this.isUnknown() ? this.#measureOld(precision) : null);
  }

  /**
   * What is known of it, or else what is measured now, in the precision of the new base. What is known may be of the other precision, so
   * that its own base is loaded after all.
   */
  onGate(newBase: NewBase): Promise<GateMeasurement> {
    return newBase.makeRoomFor(() => this.#onGate(newBase.loaded));
  }

  async #onGate(newBase: LoadedBase): Promise<GateMeasurement> {
    if (this.#anchor === null) return this.old(newBase);
    const { exact } = this.#options;
    const stored = storedOld(exact, newBase, this.#known());
    return stored ?? (await this.measure(newBase.precision.precision))?.measured ?? this.old(newBase);
  }

  /** The same of the old adapter, whatever the gate compares with. */
  async old(newBase: LoadedBase): Promise<GateMeasurement> {
    return this.knownOld(newBase) ?? (await this.#measureOld(newBase.precision.precision)).measured;
  }

  /** What is known of the old adapter; null if it would have to be measured. */
  knownOld(newBase: LoadedBase): GateMeasurement | null {
    const { exact, emit, noteOld } = this.#options;
    const stored = storedOld(exact, newBase, this.#knownOld());
    if (stored === null) return null;
    emit({ type: 'old_known', rows: stored.metric.rows });
    noteOld(stored.metric.value);
    return stored;
  }

  get isAnchor(): boolean {
    return this.#anchor !== null;
  }

  /** What the margin counts from, if it counts from a version. */
  countedFrom({ metric }: GateMeasurement): CountedFrom | null {
    if (this.#options.exact.gate.kind === 'absolute' || !Number.isFinite(metric.value)) return null;
    return { version: this.isAnchor ? 'anchor' : 'old', value: metric.value, outcomes: this.#measuredAnchor };
  }

  #known(): KnownOld {
    if (this.#anchor === null) return this.#knownOld();
    return this.#options.writer === 'anchor' ? writersMeasurement : givenOutcomes(this.#anchor.outcomes);
  }

  #knownOld(): KnownOld {
    return this.#options.writer === 'old' ? writersMeasurement : this.#options.knownOld;
  }

  async #measureOld(precision?: Precision): Promise<MeasuredVersion> {
    const { bases, exact, spec, oldAdapter, emit, noteOld } = this.#options;
    const base = await bases.load(spec.oldBase, precision);
    const { measured, outcomes } = await measureOld(exact, base, oldAdapter);
    if (outcomes) emit({ type: 'old_measured', outcomes });
    noteOld(measured.metric.value);
    return { measured, precision: base.precision.precision };
  }

  /** Null if the anchor gives way to the old adapter. */
  async #measureAnchor(anchor: AnchorSpec, precision?: Precision): Promise<MeasuredVersion | null> {
    const { bases, exact } = this.#options;
    const { source } = anchor;
    if (source === null) return this.#giveWay(anchor, 'its files or its base are gone');
    try {
      const base = await bases.load(source.base, precision);
      const { measured, outcomes } = await measureOld(
        exact,
        base,
        await loadAdapter(source.adapter, base.model.config),
      );
      this.#measuredAnchor = outcomes;
      return { measured, precision: base.precision.precision };
    } catch (error) {
      if (error instanceof FormatError && !isSystemFault(error))
        return this.#giveWay(anchor, 'its files or its base cannot be read');
      throw error;
    }
  }

  #giveWay({ number, oldNumber }: AnchorSpec, reason: string): null {
    this.#anchor = null;
    const imported = number === null ? 'the imported version' : `version ${number}, which was imported`;
    const message =
      `the margin counts from version ${oldNumber}, which is carried over, and not from ${imported}: ` +
      `its outcomes on these gate rows are not known, and ${reason}`;
    this.#options.emit({ type: 'warning', message });
    return null;
  }
}
