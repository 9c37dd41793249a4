import type { Strategy } from '../../options/job-options.ts';
import type { Adapter } from '../../models/lora/adapter.ts';
import { AdaptationError } from '../errors.ts';
import { rowsWarning } from '../gate/gate-rows.ts';
import { isBetterBeyondNoise, judge, resolveTarget, type GateTarget } from '../gate/readiness-gate.ts';
import type { SearchEvaluation } from '../search/search-task.ts';
import type { GradientEvaluation } from '../search/gradients/gradient-search.ts';
import { estimatedLoss } from '../search/relative-losses.ts';
import { toRecord, type Candidate, type CandidateRecord, type Proposal, type RungName } from './candidate.ts';
import { FusedAdapters } from './fused-adapters.ts';
import type { LadderContext, LadderPhase } from './ladder-context.ts';
import type { LadderOptions, LadderOutcome, LadderState } from './ladder-state.ts';
import { isPreferred, RungLog } from './rung-log.ts';

/**
 * The books of one run: which candidates were judged, which of them is the best, and what is published. The rungs decide
 * what is tried; the ladder decides what counts. Once a candidate is published, it stays the best until another one that
 * passes is better by more than noise.
 */
export class Ladder {
  readonly context: LadderContext;
  readonly options: LadderOptions;
  readonly fused: FusedAdapters;
  readonly #target: GateTarget;
  readonly #strategy: Strategy;
  readonly #rungs: readonly RungName[];
  readonly #log: RungLog;
  readonly #startedAt: number;
  readonly #elapsedBefore: number;
  readonly #warnings: string[] = [];
  #rung: RungName;
  #candidates: CandidateRecord[] = [];
  #searchHistory: SearchEvaluation[] = [];
  #gradientHistory: GradientEvaluation[] = [];
  #best: Candidate | null = null;
  #publishedId: string | null = null;

  private constructor(strategy: Strategy, rungs: readonly RungName[], context: LadderContext, options: LadderOptions) {
    this.context = context;
    this.options = options;
    this.fused = new FusedAdapters(context, options.fusion);
    this.#target = resolveTarget(options.gate, options.old && options.old.metric);
    this.#strategy = strategy;
    this.#rungs = rungs;
    this.#rung = context.resume?.state.rung ?? rungs[0]!;
    this.#log = new RungLog(() => this.now(), context.resume?.state);
    this.#startedAt = this.now();
    this.#elapsedBefore = context.resume?.state.elapsedMs ?? 0;
  }

  /**
   * Begins a run, or resumes one from the context's checkpoint.
   * @param rungs the strategy's rungs, in order
   * @throws AdaptationError if the gate cannot be resolved, or if the state to resume belongs to another run
   */
  static async begin(
    strategy: Strategy,
    rungs: readonly RungName[],
    context: LadderContext,
    options: LadderOptions,
  ): Promise<Ladder> {
    const ladder = new Ladder(strategy, rungs, context, options);
    if (context.resume) await ladder.#restore(context.resume);
    return ladder;
  }

  get candidates(): readonly CandidateRecord[] {
    return this.#candidates;
  }

  get isPublished(): boolean {
    return this.#publishedId !== null;
  }

  /** The current rung, which an interrupted run resumes on; the rungs before it are over. */
  get rung(): RungName {
    return this.#rung;
  }

  get searchHistory(): readonly SearchEvaluation[] {
    return this.#searchHistory;
  }

  get gradientHistory(): readonly GradientEvaluation[] {
    return this.#gradientHistory;
  }

  /** The candidates of one rung, in the order in which they were judged. */
  candidatesOf(rung: RungName): readonly CandidateRecord[] {
    return this.#candidates.filter((candidate) => candidate.rung === rung);
  }

  enter(rung: RungName): void {
    this.context.signal.throwIfAborted();
    if (this.#log.current === rung) return;
    this.#rung = rung;
    this.#log.enter(rung);
    this.context.report({ type: 'rung', rung });
  }

  leave(): void {
    this.#log.leave();
  }

  skip(rung: RungName, reason: string): void {
    this.#log.skip(rung, reason);
    this.context.report({ type: 'skipped', rung, reason });
  }

  /** Warns, once, if the gate rows are too few for the gate's margin. */
  warnOfRows(): void {
    const { gate, old } = this.options;
    const message = this.#best && rowsWarning(gate, old, this.#best);
    if (message === null || this.#warnings.length > 0) return;
    this.#warnings.push(message);
    this.context.report({ type: 'warning', message });
  }

  /**
   * Lets the gate judge an adapter, keeps it if it is the best, and publishes it if it also passes. A candidate that was
   * judged before the run was interrupted is not judged again.
   * @param during the phase to return to
   */
  async consider(proposal: Proposal, adapter: Adapter, during: LadderPhase = 'initialize'): Promise<CandidateRecord> {
    const known = this.#candidates.find(({ id }) => id === proposal.id);
    if (known) return known;
    const candidate = await this.#judge(proposal, adapter);
    const record = toRecord(candidate);
    this.#candidates.push(record);
    if (this.#isBest(candidate)) this.#best = candidate;
    this.context.report({ type: 'candidate', candidate: record });
    await this.checkpoint();
    await this.publishBest();
    this.context.phase(during);
    return record;
  }

  /** Publishes the best candidate if it passed and is not published already. */
  async publishBest(): Promise<void> {
    const best = this.#best;
    if (!best?.passed || best.id === this.#publishedId) return;
    this.context.signal.throwIfAborted();
    this.warnOfRows();
    this.context.phase('publish');
    await this.context.publish(best);
    this.#publishedId = best.id;
    this.context.report({ type: 'published', candidate: toRecord(best) });
    await this.checkpoint();
  }

  async recordSearch(evaluation: SearchEvaluation, budget: number): Promise<void> {
    this.#searchHistory.push(evaluation);
    const evaluations = this.#searchHistory.length;
    this.context.report({ type: 'search', rung: this.#rung, evaluation, evaluations, budget });
    await this.checkpoint();
  }

  async recordGradients(evaluation: GradientEvaluation): Promise<void> {
    this.#gradientHistory.push(evaluation);
    await this.checkpoint();
  }

  /** Loss on the search rows, if the search measured these coefficients. It does not measure groups, which are truncated. */
  searchLossOf({ alpha, beta, groups }: Pick<Proposal, 'alpha' | 'beta' | 'groups'>): number | null {
    return groups || alpha === null || beta === null ? null : estimatedLoss(this.#searchHistory, { alpha, beta });
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
      rungs: this.#log.reports(this.#rungs, this.#candidates),
      candidates: this.#candidates,
      searchHistory: this.#searchHistory,
      warnings: this.#warnings,
      elapsedMs: this.#elapsed(),
    };
  }

  #state(): LadderState {
    const outcomes = this.#best?.outcomes;
    return {
      strategy: this.#strategy,
      rung: this.#rung,
      ...this.#log.state(),
      candidates: [...this.#candidates],
      searchHistory: [...this.#searchHistory],
      gradientHistory: [...this.#gradientHistory],
      bestId: this.#best?.id ?? null,
      bestOutcomes: outcomes ? { values: Array.from(outcomes.values), tokens: Array.from(outcomes.tokens) } : null,
      publishedId: this.#publishedId,
      elapsedMs: this.#elapsed(),
    };
  }

  async #judge(proposal: Proposal, adapter: Adapter): Promise<Candidate> {
    const { gate, old } = this.options;
    this.context.signal.throwIfAborted();
    this.context.phase('evaluate');
    const measured = await this.context.gateMetric(adapter);
    const verdict = judge(gate, old, measured);
    const searchLoss = proposal.step === 0 ? this.searchLossOf(proposal) : null;
    return { ...proposal, ...verdict, ...measured, searchLoss, elapsedMs: this.#elapsed(), adapter };
  }

  #isBest(candidate: Candidate): boolean {
    const best = this.#best;
    if (!best) return true;
    // A candidate that is about to be published counts as published: a run that is killed there publishes it on resuming.
    return best.passed ? candidate.passed && isBetterBeyondNoise(candidate, best) : isPreferred(candidate, best);
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
    this.#gradientHistory = [...state.gradientHistory];
    this.#publishedId = state.publishedId;
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
