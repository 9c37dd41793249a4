import type { Adapter } from '../../models/lora/adapter.ts';
import type {
  AdaptationContext,
  AdaptationOptions,
  AdaptationOutcome,
  Candidate,
  CandidateRecord,
  CandidateStrategy,
  LadderPhase,
  LadderState,
  RungName,
  StrategyName,
} from './adaptation.ts';
import { fromCoefficientGroups } from '../fusion/grouping.ts';
import type { SearchEvaluation } from '../search/search-task.ts';
import { COPY, isSamePoint, type Coefficients } from '../fusion/coefficients.ts';
import { AdaptationError } from '../errors.ts';
import type { Evolution } from '../evolution/evolution.ts';
import { Fusion } from '../fusion/fusion.ts';
import { rowsWarning } from '../gate/gate-rows.ts';
import type { GradientEvaluation } from '../search/gradients/gradient-search.ts';
import type { GroupedCoefficients } from '../fusion/grouping.ts';
import { isBetterBeyondNoise, judge, resolveTarget, type GateTarget } from '../gate/readiness-gate.ts';
import { estimatedLoss } from '../search/relative-losses.ts';
import { isPreferred, RungLog } from './rung-log.ts';

/** What a rung has to say of an adapter before the gate judges it. */
export type Proposal = Pick<CandidateRecord, 'id' | 'rung' | 'strategy' | 'alpha' | 'beta' | 'groups' | 'step'>;

/**
 * The book-keeping of one run: which candidates were judged, the best of them, what is published. The rungs decide what
 * is tried; here it is decided what counts. Once something is published it is the best candidate, until another that
 * passes is better beyond noise.
 */
export class Ladder {
  readonly context: AdaptationContext;
  readonly options: AdaptationOptions;
  readonly target: GateTarget;
  readonly #strategy: StrategyName;
  readonly #rungs: readonly RungName[];
  readonly #log: RungLog;
  readonly #startedAt: number;
  readonly #elapsedBefore: number;
  readonly #warnings = new Set<string>();
  #rung: RungName;
  #candidates: CandidateRecord[] = [];
  #searchHistory: SearchEvaluation[] = [];
  #gradientHistory: GradientEvaluation[] = [];
  #searchFinished = false;
  #best: Candidate | null = null;
  #publishedId: string | null = null;
  #fusion: Fusion | null = null;

  /**
   * @param rungs of the strategy, in order
   * @throws AdaptationError where the gate cannot be resolved or the state to resume is of another run
   */
  constructor(
    strategy: StrategyName,
    rungs: readonly RungName[],
    context: AdaptationContext,
    options: AdaptationOptions,
  ) {
    this.context = context;
    this.options = options;
    this.target = resolveTarget(options.gate, options.old && options.old.metric);
    this.#strategy = strategy;
    this.#rungs = rungs;
    this.#rung = rungs[0]!;
    this.#log = new RungLog(() => this.now(), context.resume?.state);
    this.#startedAt = this.now();
    this.#elapsedBefore = context.resume?.state.elapsedMs ?? 0;
    if (context.resume) this.#restore(context.resume.state, context.resume.bestAdapter);
  }

  get best(): Candidate | null {
    return this.#best;
  }

  get candidates(): readonly CandidateRecord[] {
    return this.#candidates;
  }

  get isPublished(): boolean {
    return this.#publishedId !== null;
  }

  /** The rung under way, or that a killed run was on: those before it are over. */
  get rung(): RungName {
    return this.#rung;
  }

  get searchHistory(): readonly SearchEvaluation[] {
    return this.#searchHistory;
  }

  get gradientHistory(): readonly GradientEvaluation[] {
    return this.#gradientHistory;
  }

  get searchFinished(): boolean {
    return this.#searchFinished;
  }

  /** What was judged on one rung, in order. */
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

  /** Says, once, where the gate's rows are too few for its margin, by how the best candidate differs from the old version. */
  warnOfRows(): void {
    const { gate, old } = this.options;
    const warning = this.#best && rowsWarning(gate, old, this.#best);
    if (warning === null || this.#warnings.size > 0) return;
    this.#warnings.add(warning);
    this.context.report({ type: 'warning', message: warning });
  }

  /** Why every fusion is a scaled copy, so that there is nothing to revert or to search; null where that is not so. */
  get unfusable(): string | null {
    const { evolution } = this.context;
    if (!evolution) return 'the evolution is not known';
    return evolution.adaptable.deltaNorm > 0 ? null : 'no adaptable module of the base changed';
  }

  /** What changed in the base. @throws AdaptationError `evolution_required` where that is not known */
  get evolution(): Evolution {
    const { evolution } = this.context;
    if (evolution) return evolution;
    const message = `strategy ${this.#strategy} needs the evolution between the base versions, found none`;
    throw new AdaptationError('evolution_required', message);
  }

  /** The adapter of given coefficients; bases are computed at the first call. (1, 0) needs no evolution. */
  fused(coefficients: Coefficients | GroupedCoefficients): Adapter {
    if ('alpha' in coefficients && isSamePoint(coefficients, COPY)) return this.context.oldAdapter;
    this.#fusion ??= new Fusion(this.context.oldAdapter, this.evolution, this.options.fusion);
    return this.#fusion.at(coefficients);
  }

  /** The adapter that a candidate with coefficients was fused as, before any training. */
  initialOf({ alpha, beta, groups }: Pick<CandidateRecord, 'alpha' | 'beta' | 'groups'>): Adapter {
    if (groups) return this.fused(fromCoefficientGroups(groups, this.evolution.modules.keys()));
    return this.fused({ alpha: alpha!, beta: beta! });
  }

  /**
   * Has the gate judge a candidate, keeps it if it is the best and publishes it if it also passes. A candidate that was
   * judged before the run was killed is not judged again.
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

  /** Publishes the best candidate if it passed and is not what is published already. */
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
    this.context.report({
      type: 'search',
      rung: this.#rung,
      evaluation,
      evaluations: this.#searchHistory.length,
      budget,
    });
    await this.checkpoint();
  }

  async recordGradients(evaluation: GradientEvaluation): Promise<void> {
    this.#gradientHistory.push(evaluation);
    await this.checkpoint();
  }

  finishSearch(): void {
    this.#searchFinished = true;
  }

  /** Loss of these coefficients on the search rows, if the search evaluated them; those of groups it did not, truncated. */
  searchLossOf({ alpha, beta, groups }: Pick<CandidateRecord, 'alpha' | 'beta' | 'groups'>): number | null {
    return groups || alpha === null || beta === null ? null : estimatedLoss(this.#searchHistory, { alpha, beta });
  }

  now(): number {
    return this.context.now?.() ?? performance.now();
  }

  state(): LadderState {
    const outcomes = this.#best?.outcomes;
    return {
      strategy: this.#strategy,
      rung: this.#rung,
      ...this.#log.state(),
      candidates: [...this.#candidates],
      searchHistory: [...this.#searchHistory],
      gradientHistory: [...this.#gradientHistory],
      searchFinished: this.#searchFinished,
      bestId: this.#best?.id ?? null,
      bestOutcomes: outcomes ? { values: Array.from(outcomes.values), tokens: Array.from(outcomes.tokens) } : null,
      publishedId: this.#publishedId,
      elapsedMs: this.#elapsed(),
    };
  }

  async checkpoint(): Promise<void> {
    await this.context.checkpoint(this.state(), this.#best);
  }

  outcome(): AdaptationOutcome {
    const best = this.#best;
    return {
      ready: this.isPublished,
      target: this.target,
      published: this.isPublished ? best : null,
      best,
      strategy: best?.strategy ?? null,
      alpha: best?.alpha ?? null,
      beta: best?.beta ?? null,
      rungs: this.#log.reports(this.#rungs, this.#candidates),
      candidates: this.#candidates,
      searchHistory: this.#searchHistory,
      warnings: [...this.#warnings],
      elapsedMs: this.#elapsed(),
    };
  }

  async #judge(proposal: Proposal, adapter: Adapter): Promise<Candidate> {
    const { gate, old } = this.options;
    this.context.signal.throwIfAborted();
    this.context.phase('evaluate');
    const found = await this.context.gateMetric(adapter);
    const verdict = judge(gate, old, found);
    const searchLoss = proposal.step === 0 ? this.searchLossOf(proposal) : null;
    return { ...proposal, ...verdict, ...found, searchLoss, elapsedMs: this.#elapsed(), adapter };
  }

  #isBest(candidate: Candidate): boolean {
    const best = this.#best;
    if (!best) return true;
    // What is about to be published counts as published: a run that was killed there publishes it when it goes on.
    return best.passed ? candidate.passed && isBetterBeyondNoise(candidate, best) : isPreferred(candidate, best);
  }

  #restore(state: LadderState, bestAdapter: Adapter | null): void {
    if (state.strategy !== this.#strategy) {
      const message = `state to resume is of strategy ${state.strategy}, expected ${this.#strategy}`;
      throw new AdaptationError('invalid_state', message);
    }
    if (!this.#rungs.includes(state.rung)) {
      const message = `state to resume is on rung ${state.rung}, expected one of ${this.#rungs.join(', ')}`;
      throw new AdaptationError('invalid_state', message);
    }
    this.#rung = state.rung;
    this.#candidates = [...state.candidates];
    this.#searchHistory = [...state.searchHistory];
    this.#gradientHistory = [...(state.gradientHistory ?? [])];
    this.#searchFinished = state.searchFinished;
    this.#publishedId = state.publishedId;
    const best = state.candidates.find(({ id }) => id === state.bestId);
    if (!best) return;
    if (!state.bestOutcomes)
      throw new AdaptationError('invalid_state', `state to resume has no gate rows of ${best.id}`);
    this.#best = { ...best, outcomes: state.bestOutcomes, adapter: this.#rebuild(best, bestAdapter) };
  }

  #rebuild(record: CandidateRecord, fineTuned: Adapter | null): Adapter {
    if (record.step === 0) return this.initialOf(record);
    if (fineTuned) return fineTuned;
    throw new AdaptationError(
      'invalid_state',
      `state to resume has the best candidate ${record.id}, but its adapter is missing`,
    );
  }

  #elapsed(): number {
    return this.#elapsedBefore + this.now() - this.#startedAt;
  }
}

/** What a candidate that fine-tuning made of another is called. */
export function fineTunedStrategy(initial: Pick<CandidateRecord, 'alpha' | 'beta' | 'groups'>): CandidateStrategy {
  if (initial.alpha === null) return 'scratch';
  return !initial.groups && initial.alpha === 1 && initial.beta === 0 ? 'warm-start' : 'relora';
}

function toRecord({ adapter: _, outcomes: __, ...record }: Candidate): CandidateRecord {
  return record;
}
