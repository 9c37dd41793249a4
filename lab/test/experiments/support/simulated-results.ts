import { packagePath } from '../../../../core/installation/package-path.ts';
import { Random } from '../../../../core/statistics/random.ts';
import { parseExperiment, type Experiment } from '../../../experiments/config/load-experiment.ts';
import { nameOf } from '../../../experiments/plan/tenant-spec.ts';
import { planExperiment, type Item } from '../../../experiments/plan.ts';
import type { CellRecord, ResultRecord, TestScore } from '../../../experiments/records.ts';
import { evidenceOf, type Evidence } from '../../../experiments/report/hypotheses/evidence.ts';

/** True difference of a version from the old one. Its mean is −0.8 · loss + 0.2 · gain. */
export interface TrueChange {
  /** Probability that a row that the old version has right is wrong. */
  readonly loss: number;
  /** Probability that a row that the old version has wrong is right. */
  readonly gain: number;
}

/** True properties of a strategy. */
export interface TrueStrategy extends TrueChange {
  /** Change of the published version, if it is not the final one. */
  readonly published?: TrueChange;
  /** Median seconds to readiness. */
  readonly seconds: number;
  /** Share of jobs that become ready. Others end after twice the time. */
  readonly ready?: number;
  /** Share of jobs that end without a candidate, among those that are not ready. */
  readonly withoutCandidate?: number;
  /** Share of jobs that fail. */
  readonly failed?: number;
}

export interface World {
  readonly strategies: Readonly<Record<string, TrueStrategy>>;
  /** Change of the unchanged copy. */
  readonly copy: TrueChange;
  readonly evolutionSeconds?: number;
  /** Whether the losses of tenants differ, by up to a half. */
  readonly tenantsDiffer?: boolean;
}

/** Size of an experiment. */
export interface Size {
  /** Number of tenants of each task. */
  readonly seeds: number;
  readonly testRows: number;
  readonly tasks?: readonly string[];
  readonly evolutions?: readonly string[];
  readonly rows?: readonly number[];
  /** Further settings of the file. */
  readonly settings?: string;
}

/** Folder within the checkout, as blind experiments require. It does not exist. */
const MODELS = packagePath('data/models');

/** Probability that the old version has a row right. */
export const OLD_RIGHT = 0.8;
/** Seconds of looks in each job, as a share of its time. */
export const LOOKS = 0.4;

const METRICS: Record<string, string> = { pronunciation: 'rouge_l', 'home-commands': 'exact_match' };

export function simulatedExperiment(strategies: readonly string[], size: Size): Experiment {
  const { seeds, testRows, tasks = ['product-reviews'], evolutions = ['helpful'], rows = [64, 256, 1500] } = size;
  const listed = tasks.map(
    (name) => `{ name: ${name}, metric: ${METRICS[name] ?? 'accuracy'}, pool: [/${name}.jsonl] }`,
  );
  const yaml = `
name: simulated
base: ${MODELS}/base
evolutions: [${evolutions.map((name) => `{ name: ${name}, base: ${MODELS}/${name} }`).join(', ')}]
tasks: [${listed.join(', ')}]
adapters: [{ name: lora8, rank: 8, rows: 1500, steps: 94, batch_size: 16, learning_rate: 5.0e-4 }]
rows: [${rows.join(', ')}]
seeds: [${Array.from({ length: seeds }, (_, i) => 101 + i).join(', ')}]
validation_rows: 464
test_rows: ${testRows}
${size.settings?.includes('gate:') ? '' : 'gate: { kind: relative, margin: 0.03 }'}
strategies: [${strategies.map((name) => `{ name: ${name}, strategy: auto }`).join(', ')}]
${size.settings ?? 'baselines: [scratch, paper]'}
`;
  return parseExperiment(yaml, { file: '/x/simulated.yaml', environment: {} });
}

export interface Simulation {
  readonly experiment: Experiment;
  readonly items: readonly Item[];
  readonly records: readonly ResultRecord[];
  readonly evidence: Evidence;
}

/** Draws the results of a whole experiment in a world with known truth. */
export function simulateResults(world: World, size: Size, seed: number): Simulation {
  return simulateExperiment(simulatedExperiment(Object.keys(world.strategies), size), world, size.testRows, seed);
}

/** Draws the results of an experiment file. @param world with the truth of all of its strategies */
export function simulateExperiment(experiment: Experiment, world: World, testRows: number, seed: number): Simulation {
  const items = planExperiment(experiment);
  const dice = new Dice(world, testRows, seed);
  // Always draw in the order of the file, so that `blind` changes no result.
  const records = planExperiment({ ...experiment, blind: false }).map(
    (item) => ({ key: item.key, ms: 1, at: '2026-01-01T00:00:00Z', ...dice.measure(item) }) as ResultRecord,
  );
  return { experiment, items, records, evidence: evidenceOf(experiment, records) };
}

/** Draws single records. Properties of rows and tenants are drawn once. */
class Dice {
  readonly #world: World;
  readonly #testRows: number;
  readonly #random: Random;
  readonly #difficulties = new Map<string, number[]>();
  readonly #tenants = new Map<string, { readonly factor: number; readonly old: readonly boolean[] }>();

  constructor(world: World, testRows: number, seed: number) {
    this.#world = world;
    this.#testRows = testRows;
    this.#random = Random.fromSeed(seed);
  }

  measure(item: Item): object {
    if (item.type === 'surface') throw new Error('surfaces are not simulated');
    if (item.type === 'evolution')
      return { ...this.#evolution(item.evolution.name), ...(item.tenant && nameOf(item.tenant)) };
    const { task, recipe, seed } = item.tenant;
    const name = { task: task.name, adapter: recipe.name, seed };
    if (item.type === 'tenant') return { type: 'tenant', ...name, old: this.#score(name.task, this.#tenant(name).old) };
    const place = { ...name, evolution: item.evolution.name };
    if (item.type === 'reference')
      return {
        type: 'reference',
        ...place,
        none: this.#score(name.task, []),
        copy: this.#version(name, this.#world.copy),
      };
    return {
      type: 'cell',
      ...place,
      rows: item.rows,
      strategy: item.strategy.name,
      ...this.#job(name, item.strategy.name),
    };
  }

  #evolution(evolution: string): object {
    const computeMs = 1000 * (this.#world.evolutionSeconds ?? 40);
    return { type: 'evolution', evolution, from: null, drift: 0.01, computeMs, drifts: [], summary: {} };
  }

  #job(name: Named, strategy: string): Partial<CellRecord> {
    const truth = this.#world.strategies[strategy]!;
    const { seconds, ready = 1, withoutCandidate = 0, failed = 0 } = truth;
    const ms = 1000 * seconds * Math.exp(0.1 * this.#random.normal());
    const nothing = { candidates: [], search: [], warmUpMs: 0, first: null, final: null };
    if (this.#happens(failed)) return { ...nothing, state: 'failed', elapsedMs: ms, error: 'Error: simulated' };
    const isReady = this.#happens(ready);
    const elapsedMs = isReady ? ms : 2 * ms;
    const phases = { evaluate: LOOKS * elapsedMs } as CellRecord['phases'];
    const times = { readyMs: isReady ? ms : null, elapsedMs, phases, state: isReady ? 'ready' : 'not_ready' } as const;
    if (!isReady && this.#happens(withoutCandidate)) return { ...nothing, ...times };
    const final = this.#version(name, truth);
    const first = truth.published ? this.#version(name, truth.published) : final;
    return { ...nothing, ...times, first: isReady ? first : null, final };
  }

  /** Draws a version that has lost and gained rows. Rows that are twice as hard are lost twice as often. */
  #version(name: Named, { loss, gain }: TrueChange): TestScore {
    const { factor, old } = this.#tenant(name);
    const hard = this.#difficulty(name.task);
    const right = old.map((was, row) => (was ? !this.#happens(loss * factor * hard[row]!) : this.#happens(gain)));
    return this.#score(name.task, right);
  }

  /** Scores rows. For ROUGE-L, a right row has 1 and a wrong one 0.4. */
  #score(task: string, right: readonly boolean[]): TestScore {
    const scores = right.map((one): number => (one ? 1 : METRICS[task] === 'rouge_l' ? 0.4 : 0));
    const value = scores.reduce((sum, one) => sum + one, 0) / Math.max(1, scores.length);
    if (METRICS[task] === 'rouge_l') return { value, standardError: 0, right: null, scores };
    return { value, standardError: 0, right: scores.join('') };
  }

  #tenant({ task, seed }: Named) {
    const key = `${task} ${seed}`;
    const found = this.#tenants.get(key) ?? {
      factor: this.#world.tenantsDiffer ? 0.5 + this.#random.uniform() : 1,
      old: Array.from({ length: this.#testRows }, () => this.#happens(OLD_RIGHT)),
    };
    this.#tenants.set(key, found);
    return found;
  }

  #difficulty(task: string): readonly number[] {
    const found =
      this.#difficulties.get(task) ?? Array.from({ length: this.#testRows }, () => (this.#happens(0.5) ? 0.5 : 1.5));
    this.#difficulties.set(task, found);
    return found;
  }

  #happens(probability: number): boolean {
    return this.#random.uniform() < probability;
  }
}

interface Named {
  readonly task: string;
  readonly seed: number;
}

/** Share of `count` simulations in which the condition holds. */
export function shareOf(count: number, holds: (seed: number) => boolean): number {
  return Array.from({ length: count }, (_, i) => holds(i + 1)).filter(Boolean).length / count;
}
