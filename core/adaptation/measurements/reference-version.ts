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
import { givenOutcomes, isKnown, isWhole, measureOld, storedOld, type KnownOld } from './old-version.ts';

/** Measurement of an adapter version on its own base. */
export interface VersionMeasurement {
  readonly measured: GateMeasurement;
  /** Precision of the version's own base during the measurement. */
  readonly precision: Precision;
}

export interface ReferenceOptions {
  readonly bases: BaseCache;
  readonly exact: ExactGate;
  readonly spec: Pick<JobSpec, 'oldBase' | 'anchor' | 'measuresOld'>;
  readonly oldAdapter: Adapter;
  /** Function that looks up stored measurements of the old adapter. */
  readonly knownOld: KnownOld;
  /**
   * Version that has written the answers of the rows, so that its own outcomes are known. Default: none, because the
   * rows came with answers.
   */
  readonly writer?: 'anchor' | 'old' | undefined;
  /** Ids of the tokens that end a text on the new base, which are known before its weights are loaded. */
  readonly newVersion: Pick<LoadedBase, 'endOfTextIds'>;
  emit(event: Exclude<JobEvent, Publication>): void;
  /** Called with the metric of the old adapter whenever it was looked up or measured. */
  noteOld(value: number): void;
}

/**
 * Reference: the version with which a gate compares candidates. It is the anchor if the job has one and the gate has a
 * margin, or else the old adapter. If the anchor's outcomes on the gate rows are neither known nor measurable, the old
 * adapter replaces the anchor, with a warning.
 */
export class ReferenceVersion {
  readonly #options: ReferenceOptions;
  #anchor: AnchorSpec | null;
  #measuredAnchor: GateOutcomes | null = null;

  constructor(options: ReferenceOptions) {
    const { spec, exact, writer } = options;
    this.#options = options;
    // If the old version has written the answers, it has already replaced the anchor.
    this.#anchor = exact.gate.kind === 'absolute' || writer === 'old' ? null : (spec.anchor ?? null);
  }

  /** Whether candidates are compared with the reference, because the gate needs it or because the job asks for it. */
  get isCompared(): boolean {
    const { exact, spec } = this.#options;
    return needsOldVersion(exact.gate) || spec.measuresOld === 'before';
  }

  /**
   * Whether the reference has to be measured, since candidates are compared with it and no measurement is stored. It is
   * best measured before the new base is loaded.
   */
  isUnknown(): boolean {
    const { exact, newVersion } = this.#options;
    return this.isCompared && !isKnown(this.#known(), exact, newVersion);
  }

  /**
   * Loads the reference's own base, and measures the reference on it. Returns null if the reference was an anchor that
   * cannot be measured, so that the old adapter replaces it, and the old adapter need not be measured.
   * @param precision precision of the reference's own base. Default: chosen for the base
   */
  async measure(precision?: Precision): Promise<VersionMeasurement | null> {
    if (this.#anchor === null) return this.#measureOld(precision);
    const measured = await this.#measureAnchor(this.#anchor, precision);
    return measured ?? (this.isUnknown() ? this.#measureOld(precision) : null);
  }

  /**
   * Returns the stored measurement of the reference. If there is none in the precision of the new base, measures the
   * reference in that precision, for which the reference's own base may have to be loaded.
   */
  onGate(newBase: NewBase): Promise<GateMeasurement> {
    return newBase.reloadAfter(() => this.#onGate(newBase.loaded));
  }

  async #onGate(newBase: LoadedBase): Promise<GateMeasurement> {
    if (this.#anchor === null) return this.#oldOnAll(newBase);
    const { exact } = this.#options;
    const stored = storedOld(exact, newBase, this.#known());
    if (stored !== null && isWhole(stored)) return stored;
    return (await this.measure(newBase.precision.precision))?.measured ?? this.#oldOnAll(newBase);
  }

  /** Returns the measurement of the old adapter, even if the reference is the anchor. If none is stored, makes one. */
  async old(newBase: LoadedBase): Promise<GateMeasurement> {
    return this.knownOld(newBase) ?? (await this.#measureOld(newBase.precision.precision)).measured;
  }

  async #oldOnAll(newBase: LoadedBase): Promise<GateMeasurement> {
    const stored = this.knownOld(newBase);
    return stored !== null && isWhole(stored) ? stored : (await this.#measureOld(newBase.precision.precision)).measured;
  }

  /**
   * Returns the stored measurement of the old adapter, and reports it; null if none is stored. The measurement covers
   * only the first gate rows if the old adapter was published before all gate rows were measured.
   */
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

  /**
   * Returns the version from which the gate's margin counts, with the version's metric. Returns null for an absolute
   * gate, and for a metric that is not finite.
   */
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

  async #measureOld(precision?: Precision): Promise<VersionMeasurement> {
    const { bases, exact, spec, oldAdapter, emit, noteOld } = this.#options;
    const base = await bases.load(spec.oldBase, precision);
    const { measured, outcomes } = await measureOld(exact, base, oldAdapter);
    if (outcomes) emit({ type: 'old_measured', outcomes });
    noteOld(measured.metric.value);
    return { measured, precision: base.precision.precision };
  }

  /**
   * Measures the anchor on its own base. If its files are missing or cannot be read, the old adapter replaces it, and
   * the result is null.
   */
  async #measureAnchor(anchor: AnchorSpec, precision?: Precision): Promise<VersionMeasurement | null> {
    const { bases, exact } = this.#options;
    const { source } = anchor;
    if (source === null) return this.#fallBack(anchor, 'its files or its base are gone');
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
        return this.#fallBack(anchor, 'its files or its base cannot be read');
      throw error;
    }
  }

  #fallBack({ number, oldNumber }: AnchorSpec, reason: string): null {
    this.#anchor = null;
    const imported = number === null ? 'the imported version' : `version ${number}, which was imported`;
    const message =
      `the margin counts from version ${oldNumber}, which is carried over, and not from ${imported}: ` +
      `its outcomes on these gate rows are not known, and ${reason}`;
    this.#options.emit({ type: 'warning', message });
    return null;
  }
}
