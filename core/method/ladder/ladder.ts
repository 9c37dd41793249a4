import type { Strategy } from '../../options/job-options.ts';
import type { Adapter } from '../../models/lora/adapter.ts';
import { AdaptationError } from '../errors.ts';
import { rowsWarning } from '../gate/gate-rows.ts';
import type { Look } from '../gate/error-budget.ts';
import { isLikelyToPass, isWorthLooking } from '../gate/futility.ts';
import {
  isBetterBeyondNoise,
  isDecidable,
  isPublishable,
  judge,
  resolveTarget,
  type GateTarget,
  type MetricValue,
  type SearchMeasurement,
} from '../gate/readiness-gate.ts';
import type { SearchEvaluation } from '../search/search-task.ts';
import { isSamePoint } from '../fusion/coefficients.ts';
import { toRecord, type Candidate, type CandidateRecord, type Proposal, type RungName } from './candidate.ts';
import { FusedAdapters } from './fused-adapters.ts';
import type { LadderContext, LadderPhase } from './ladder-context.ts';
import type { LadderOptions, LadderOutcome, LadderState } from './ladder-state.ts';
import { hasBetterVerdict, isComparable, isPreferred, RungLog } from './rung-log.ts';
import { WatchLog, type WatchRecord } from './watch-log.ts';

/** Strategy of a run, with its rungs and whether they can make only one candidate. */
interface LadderPlan {
  readonly strategy: Strategy;
  /** Rungs of the strategy, in the order in which they are tried. */
  readonly rungs: readonly RungName[];
  /** Whether the rungs can make only one candidate, whose look may use the job's whole error probability. */
  readonly looksOnce: boolean;
}

/**
 * Record of one run: the judged candidates, the best of them, and the published one. Rungs propose adapters; the ladder
 * has the gate judge them, and ranks them. After a publication, another candidate becomes the best only if it may be
 * published, too, and has a better verdict or is better beyond noise.
 */
export class Ladder {
  readonly context: LadderContext;
  readonly options: LadderOptions;
  readonly fused: FusedAdapters;
  readonly #target: GateTarget;
  readonly #strategy: Strategy;
  readonly #looksOnce: boolean;
  readonly #rungs: readonly RungName[];
  readonly #log: RungLog;
  readonly #startedAt: number;
  readonly #elapsedBefore: number;
  readonly #warnings: string[] = [];
  readonly #watched: WatchLog;
  #rung: RungName;
  #candidates: CandidateRecord[] = [];
  #searchHistory: SearchEvaluation[] = [];
  #best: Candidate | null = null;
  #publishedId: string | null = null;
  #held: string | null = null;
  #compared: Readonly<Record<string, MetricValue>> = {};

  private constructor({ strategy, rungs, looksOnce }: LadderPlan, context: LadderContext, options: LadderOptions) {
    this.context = context;
    this.options = options;
    this.fused = new FusedAdapters(context, options.fusion);
    this.#target = resolveTarget(options.gate, options.old && options.old.metric);
    this.#strategy = strategy;
    this.#looksOnce = looksOnce;
    this.#rungs = rungs;
    this.#rung = context.resume?.state.rung ?? rungs[0]!;
    this.#log = new RungLog(() => this.now(), context.resume?.state);
    this.#watched = new WatchLog(context.resume?.state.watched);
    this.#startedAt = this.now();
    this.#elapsedBefore = context.resume?.state.elapsedMs ?? 0;
  }

  /**
   * Begins a run, or resumes one from the context's checkpoint.
   * @throws AdaptationError if the gate cannot be resolved, or if the state to resume belongs to another run
   */
  static async begin(plan: LadderPlan, context: LadderContext, options: LadderOptions): Promise<Ladder> {
    const ladder = new Ladder(plan, context, options);
    if (context.resume) {
      await ladder.#restore(context.resume);
      ladder.#reportProgress();
    }
    return ladder;
  }

  get candidates(): readonly CandidateRecord[] {
    return this.#candidates;
  }

  get isPublished(): boolean {
    return this.#publishedId !== null;
  }

  /** Measurements so far of the adapters in training on the search rows. */
  get watched(): Pick<WatchLog, 'records' | 'of' | 'stepsOf' | 'promisesMore' | 'promisesNoLess'> {
    return this.#watched;
  }

  /** Earliest candidate whose verdict allows its publication; undefined if there is none. */
  get firstPublishable(): CandidateRecord | undefined {
    return this.#candidates.find((candidate) => this.#isPublishable(candidate));
  }

  /** Rung that the run has reached and on which it resumes after an interruption. The rungs before it are over. */
  get rung(): RungName {
    return this.#rung;
  }

  get searchHistory(): readonly SearchEvaluation[] {
    return this.#searchHistory;
  }

  /** Returns the judged candidates of one rung, in the order in which they were judged. */
  candidatesOf(rung: RungName): readonly CandidateRecord[] {
    return this.#candidates.filter((candidate) => candidate.rung === rung);
  }

  enter(rung: RungName): void {
    this.context.signal.throwIfAborted();
    if (this.#log.current === rung) return;
    this.#rung = rung;
    this.#log.enter(rung);
    this.context.report({ type: 'rung', rung });
    this.#reportProgress();
  }

  leave(): void {
    if (this.#log.current === null) return;
    this.#log.leave();
    this.#reportProgress();
  }

  skip(rung: RungName, reason: string): void {
    this.#log.skip(rung, reason);
    this.context.report({ type: 'skipped', rung, reason });
    this.#reportProgress();
  }

  /**
   * Warns, at most once in a run, that the gate rows are too few to decide whether the best candidate is good enough.
   */
  warnOfRows(): void {
    const message = this.#best && rowsWarning(this.#best);
    if (message === null || this.#warnings.length > 0) return;
    this.#warnings.push(message);
    this.context.report({ type: 'warning', message });
  }

  /**
   * Measures an adapter in training on the search rows, and asks `decide` whether the gate shall judge it. Both are
   * skipped if they were done before an interruption of the run.
   * @param decide gets the measurement and returns whether the gate shall judge the adapter
   * @returns the answer of `decide`
   */
  async watch(
    proposal: Proposal,
    adapter: Adapter,
    decide: (measured: SearchMeasurement) => boolean,
  ): Promise<boolean> {
    const known = this.#watched.find(proposal.id);
    if (known) return known.looked;
    this.context.signal.throwIfAborted();
    const { id, rung, step } = proposal;
    const measured = await this.context.searchMetric(adapter);
    const watched = this.#watched.add({ id, rung, step, metric: measured.metric }, () => decide(measured));
    this.context.report({ type: 'watched', watched });
    // If the gate judges the adapter, `consider` saves this record together with the verdict.
    if (!watched.looked || this.#candidates.some((candidate) => candidate.id === id)) await this.checkpoint();
    return watched.looked;
  }

  /**
   * Whether an adapter in training is likely enough to pass for the gate to judge it, by its outcomes on the search
   * rows. If the gate is absolute, or the old version's outcomes on these rows are not known, the adapter's value is
   * compared with the gate's target, after improving the value by one standard error.
   */
  isPromising(measured: SearchMeasurement): boolean {
    const { gate, old } = this.options;
    if (gate.kind !== 'absolute' && old?.onSearch) return isLikelyToPass(gate, old, measured, this.#nextLook());
    const { name, value, standardError } = measured.metric;
    const { value: needed } = this.#target;
    return name === 'loss' ? value - standardError <= needed : value + standardError >= needed;
  }

  /**
   * Decides whether to end the run because more looks at the gate rows would only spend time: the best candidate is
   * inconclusive, and the rows are too few to certify even a version that is exactly as good as the old one.
   */
  async isHeld(): Promise<boolean> {
    const { gate, old, judge: by } = this.options;
    const best = this.#best;
    if (this.isPublished || this.#held !== null || best?.verdict !== 'inconclusive') return this.#held !== null;
    if (isDecidable(gate, old, this.#nextLook(), by)) return false;
    const reason = 'the gate rows are too few to certify any version that is as good as the old one';
    this.#held = `${best.rung} is inconclusive, and ${reason}`;
    await this.checkpoint();
    return true;
  }

  /**
   * Reason against searching or training for another candidate: its chance of a certificate is too small. Null if there
   * is no such reason. The reason follows from the best candidate and the number of looks alone, so that a resumed run
   * comes to the same result.
   */
  get futility(): string | null {
    const { gate, old, leastPower = 0 } = this.options;
    const best = this.#best;
    if (this.isPublished || best?.verdict !== 'inconclusive') return null;
    if (isWorthLooking(gate, old, best, { look: this.#nextLook(), leastPower })) return null;
    const power = `${Number((leastPower * 100).toFixed(4))} %`;
    const reason = 'the gate rows are too few to certify another version that is as good as the old one';
    return `${best.rung} is inconclusive, and ${reason} with a probability of more than ${power}`;
  }

  /**
   * Has the gate judge an adapter, keeps the adapter if it is the best so far, and publishes it if the gate allows. If
   * the candidate was judged before an interruption of the run, its record is returned unchanged.
   * @param during the phase to return to after the judgement
   */
  async consider(proposal: Proposal, adapter: Adapter, during: LadderPhase = 'initialize'): Promise<CandidateRecord> {
    const known = this.#candidates.find(({ id }) => id === proposal.id);
    if (known) return known;
    const candidate = await this.#judge(proposal, adapter);
    const record = toRecord(candidate);
    this.#candidates.push(record);
    if (await this.#isBest(candidate)) this.#best = candidate;
    this.context.report({ type: 'candidate', candidate: record, outcomes: Array.from(candidate.outcomes.values) });
    this.#reportProgress();
    await this.checkpoint();
    await this.publishBest();
    this.context.phase(during);
    return record;
  }

  /** Publishes the best candidate if the gate allows and it is not published already. */
  async publishBest(): Promise<void> {
    const best = this.#best;
    if (!best || !this.#isPublishable(best) || best.id === this.#publishedId) return;
    this.context.signal.throwIfAborted();
    this.warnOfRows();
    this.context.phase('publish');
    await this.context.publish(best);
    this.#publishedId = best.id;
    this.context.report({ type: 'published', candidate: toRecord(best) });
    this.#reportProgress();
    await this.checkpoint();
  }

  async recordSearch(evaluation: SearchEvaluation): Promise<void> {
    this.#searchHistory.push(evaluation);
    const evaluations = this.#searchHistory.length;
    this.context.report({ type: 'search', rung: this.#rung, evaluation, evaluations });
    await this.checkpoint();
  }

  /**
   * Returns the loss that the search measured at these fusion coefficients on the search rows; null if it measured
   * none.
   */
  searchLossOf({ alpha, beta }: Pick<Proposal, 'alpha' | 'beta'>): number | null {
    if (alpha === null || beta === null) return null;
    return this.#searchHistory.find((one) => isSamePoint(one, { alpha, beta }))?.loss ?? null;
  }

  now(): number {
    return this.context.now?.() ?? performance.now();
  }

  async checkpoint(): Promise<void> {
    await this.context.checkpoint(this.#state(), this.#best);
  }

  outcome(): LadderOutcome {
    return {
      ready: this.isPublished,
      target: this.#target,
      best: this.#best,
      rungs: this.#log.reports(this.#rungs, this.#state()),
      candidates: this.#candidates,
      searchHistory: this.#searchHistory,
      warnings: this.#warnings,
      elapsedMs: this.#elapsed(),
    };
  }

  #reportProgress(): void {
    const [candidates, publishedId] = [[...this.#candidates], this.#publishedId];
    const state = { candidates, publishedId, held: this.#held, watched: this.#watched.records };
    const rungs = this.#log.reports(this.#rungs, state);
    const ladder = { current: this.#log.current, rungs, candidates, publishedId, ended: false };
    this.context.report({ type: 'ladder', ladder });
  }

  #state(): LadderState {
    const outcomes = this.#best?.outcomes;
    return {
      strategy: this.#strategy,
      rung: this.#rung,
      ...this.#log.state(),
      candidates: [...this.#candidates],
      watched: [...this.#watched.records],
      compared: this.#compared,
      held: this.#held,
      searchHistory: [...this.#searchHistory],
      bestId: this.#best?.id ?? null,
      bestOutcomes: outcomes ? { values: Array.from(outcomes.values), tokens: Array.from(outcomes.tokens) } : null,
      publishedId: this.#publishedId,
      elapsedMs: this.#elapsed(),
    };
  }

  async #judge(proposal: Proposal, adapter: Adapter): Promise<Candidate> {
    const { gate, old, judge: by = judge } = this.options;
    this.context.signal.throwIfAborted();
    this.context.phase('evaluate');
    const look = this.#nextLook();
    const measured = await this.context.gateMetric(adapter, { reference: old, look });
    const verdict = by(gate, old, measured, look);
    const searchLoss = proposal.step === 0 ? this.searchLossOf(proposal) : null;
    return { ...proposal, ...verdict, ...measured, searchLoss, elapsedMs: this.#elapsed(), adapter };
  }

  async #isBest(candidate: Candidate): Promise<boolean> {
    const best = this.#best;
    if (!best) return true;
    // A publishable candidate counts as published: a run that is killed before the publication publishes it on
    // resuming.
    if (!this.#isPublishable(best)) return this.#isPreferred(candidate, best);
    if (!this.#isPublishable(candidate) || hasBetterVerdict(best, candidate)) return false;
    return hasBetterVerdict(candidate, best) || isBetterBeyondNoise(candidate, best);
  }

  async #isPreferred(a: Candidate, b: Candidate): Promise<boolean> {
    if (a.verdict !== b.verdict || isComparable(a, b)) return isPreferred(a, b);
    if (a.step === 0 && b.step === 0 && a.searchLoss !== null && b.searchLoss !== null)
      return a.searchLoss < b.searchLoss;
    const metrics: Pick<WatchRecord, 'id' | 'metric'>[] = [];
    for (const { id, adapter } of [b, a]) metrics.push({ id, metric: await this.#onSearch(id, adapter) });
    this.#compared = { ...this.#compared, ...Object.fromEntries(metrics.map(({ id, metric }) => [id, metric])) };
    return isPreferred(a, b, metrics);
  }

  /**
   * Returns the gate's metric of an adapter on the search rows, and measures it only if no earlier measurement is
   * recorded.
   */
  async #onSearch(id: string, adapter: Adapter): Promise<MetricValue> {
    return this.#watched.find(id)?.metric ?? this.#compared[id] ?? (await this.context.searchMetric(adapter)).metric;
  }

  #isPublishable(candidate: CandidateRecord): boolean {
    return isPublishable(this.options.gate, candidate);
  }

  /** Returns the position of the next candidate's look at the gate rows. Every candidate so far took one look. */
  #nextLook(): Look {
    const total = this.#candidates.length + 1;
    const certified = this.#candidates.findIndex(({ verdict }) => verdict === 'passed');
    if (certified < 0) return { total, number: total, missed: 0, isOnly: this.#looksOnce && total === 1 };
    const missed = this.#candidates.slice(certified).filter(({ verdict }) => verdict !== 'passed').length;
    return { total, number: certified + 1, missed, isOnly: false };
  }

  async #restore({ state, bestAdapter }: NonNullable<LadderContext['resume']>): Promise<void> {
    if (state.strategy !== this.#strategy) {
      const message = `the state to resume has strategy ${state.strategy}, expected ${this.#strategy}`;
      throw new AdaptationError('invalid_state', message);
    }
    if (!this.#rungs.includes(state.rung)) {
      const message = `the state to resume is on rung ${state.rung}, expected one of ${this.#rungs.join(', ')}`;
      throw new AdaptationError('invalid_state', message);
    }
    this.#candidates = [...state.candidates];
    this.#searchHistory = [...state.searchHistory];
    this.#publishedId = state.publishedId;
    this.#held = state.held;
    this.#compared = state.compared;
    const best = state.candidates.find(({ id }) => id === state.bestId);
    if (!best) return;
    if (!state.bestOutcomes) {
      throw new AdaptationError('invalid_state', `the state to resume has no gate rows of candidate ${best.id}`);
    }
    this.#best = { ...best, outcomes: state.bestOutcomes, adapter: await this.#rebuild(best, bestAdapter) };
  }

  async #rebuild(record: CandidateRecord, fineTuned: Adapter | null): Promise<Adapter> {
    if (record.step === 0) return this.fused.initialOf(record);
    if (fineTuned) return fineTuned;
    const message = `the state to resume has the best candidate ${record.id}, but its adapter is missing`;
    throw new AdaptationError('invalid_state', message);
  }

  #elapsed(): number {
    return this.#elapsedBefore + this.now() - this.#startedAt;
  }
}
