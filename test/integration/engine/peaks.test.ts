import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ModelConfig } from '../../../core/models/config/model-config.ts';
import { saveRandomBase } from '../../unit/engine/support/saved-base.ts';

/**
 * Run from its source: a process needs 80 to 160 MB more so than one of compiled modules, and the plan has to hold in a
 * checkout as well.
 */
const CHILD = path.join(import.meta.dirname, 'support/peak-child.ts');

/** Folders of an int8 base and of its cache. */
interface Int8Base {
  readonly folder: string;
  readonly cache: string;
  /** Whether the base is loaded for the first time and so compared with float32 (default: false). */
  readonly isFirst?: boolean;
}

/** Batch that a separate process computes, among others. */
export interface PeakCase {
  readonly kind: 'gradients' | 'labelLosses';
  readonly rows: number;
  readonly tokens: number;
  readonly labels: number;
  readonly rank: number;
  readonly dora?: boolean;
  readonly dropout?: boolean;
  /** Memory for activations in bytes (default: unlimited). */
  readonly memory?: number;
  readonly config: Partial<ModelConfig>;
  /** Base computed in int8 (default: a random float32 base of `config`). */
  readonly int8?: Int8Base;
}

/** Peak resident set of a case and its planned memory, in bytes, and what the plan recomputes. */
export interface FoundPeak {
  readonly peak: number;
  readonly planned: number;
  readonly recompute: string;
}

/** 20 million weights: enough for activations of hundreds of megabytes and a second or two of work. */
const config = {
  hiddenSize: 512,
  intermediateSize: 1408,
  numLayers: 4,
  numHeads: 8,
  numKeyValueHeads: 4,
  headDim: 64,
  vocabSize: 16_384,
  maxPositionEmbeddings: 2048,
};

interface Case extends Omit<PeakCase, 'config'> {
  readonly name: string;
  readonly recompute: string;
  readonly vocabSize?: number;
  /** Soft cap of the logits (default: none). */
  readonly cap?: number;
}

const ALL_LABELS: Case = {
  name: 'all labels',
  kind: 'gradients',
  rows: 1,
  tokens: 768,
  labels: 768,
  rank: 8,
  recompute: 'scores',
};
const DORA: Case = {
  name: 'DoRA with dropout',
  kind: 'gradients',
  rows: 1,
  tokens: 768,
  labels: 16,
  rank: 64,
  dora: true,
  dropout: true,
  recompute: 'scores',
};

/**
 * Cases of one process after the other. What a case leaves behind counts for those after it, so the small ones come
 * first.
 */
const CASES: readonly (readonly Case[])[] = [
  [
    { name: 'many short rows', kind: 'gradients', rows: 12, tokens: 32, labels: 8, rank: 8, recompute: 'cheap' },
    { name: 'losses alone', kind: 'labelLosses', rows: 2, tokens: 512, labels: 256, rank: 8, recompute: 'cheap' },
    { name: 'a row of 500', kind: 'gradients', rows: 1, tokens: 500, labels: 16, rank: 16, recompute: 'cheap' },
    ALL_LABELS,
    DORA,
    {
      name: 'a row of 1,536 with little memory',
      kind: 'gradients',
      rows: 1,
      tokens: 1536,
      labels: 64,
      rank: 16,
      memory: 0,
      recompute: 'layers',
    },
    { name: 'a row of 1,536', kind: 'gradients', rows: 1, tokens: 1536, labels: 64, rank: 16, recompute: 'scores' },
  ],
  [
    {
      name: 'losses of a completion of 1,500 with a large vocabulary',
      kind: 'labelLosses',
      rows: 1,
      tokens: 1536,
      labels: 1500,
      rank: 8,
      vocabSize: 32_768,
      recompute: 'scores',
    },
    {
      name: 'capped logits of a large vocabulary',
      kind: 'gradients',
      rows: 1,
      tokens: 640,
      labels: 500,
      rank: 8,
      vocabSize: 32_768,
      cap: 30,
      recompute: 'scores',
    },
    {
      name: 'a completion of 1,100 with a large vocabulary',
      kind: 'gradients',
      rows: 1,
      tokens: 1152,
      labels: 1100,
      rank: 8,
      vocabSize: 32_768,
      recompute: 'scores',
    },
  ],
];

/** 35 million weights in layers, which outweigh the embeddings: held in float32, they would exceed the plan. */
const int8Config = {
  ...config,
  numLayers: 3,
  vocabSize: 8192,
  hiddenSize: 1024,
  intermediateSize: 2816,
  numHeads: 16,
  numKeyValueHeads: 8,
};

/**
 * Cases in int8, of which the very first loads the base for the first time. Activations take as much as in float32, so
 * that no row has to be as long as there: 640 tokens already take two blocks of attention.
 */
const INT8_CASES: readonly (readonly (Case & { readonly isFirst?: boolean })[])[] = [
  [
    {
      name: 'the first load, for losses',
      kind: 'labelLosses',
      rows: 1,
      tokens: 40,
      labels: 4,
      rank: 8,
      isFirst: true,
      recompute: 'cheap',
    },
  ],
  [
    { name: 'many short rows', kind: 'gradients', rows: 12, tokens: 32, labels: 8, rank: 8, recompute: 'cheap' },
    {
      name: 'a row of 640 with little memory',
      kind: 'gradients',
      rows: 1,
      tokens: 640,
      labels: 64,
      rank: 16,
      memory: 0,
      recompute: 'layers',
    },
    { name: 'a row of 640', kind: 'gradients', rows: 1, tokens: 640, labels: 64, rank: 16, recompute: 'scores' },
    { ...ALL_LABELS, tokens: 640, labels: 640 },
    { ...DORA, tokens: 640 },
  ],
  [{ name: 'losses alone', kind: 'labelLosses', rows: 6, tokens: 512, labels: 256, rank: 8, recompute: 'cheap' }],
];

/**
 * Bounds of plan / actual peak. A plan that is too low gets a process killed; one that is too high refuses jobs that
 * would fit.
 */
const TOLERANCE = { least: 1, most: 1.5 };

/** Peaks of cases by their names. */
type Peaks = Map<string, FoundPeak>;

/** Computes each list of cases in a process of its own. */
async function measure<C extends Case>(
  processes: readonly (readonly C[])[],
  of: (each: C) => PeakCase,
): Promise<Peaks> {
  const peaks: Peaks = new Map();
  for (const cases of processes) {
    const argument = JSON.stringify(cases.map(of));
    const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', CHILD, argument]);
    const found = JSON.parse(stdout) as readonly FoundPeak[];
    for (const [i, { name }] of cases.entries()) peaks.set(name, found[i]!);
  }
  return peaks;
}

function expectWithinPlan({ peak, planned, recompute }: FoundPeak, { name, recompute: expected }: Case): void {
  expect(recompute).toBe(expected);
  const ratio = planned / peak;
  if (process.env['READAPT_TEST_LOG_LEVEL'] === 'debug') console.log(name, { peak, planned }, ratio.toFixed(2));
  expect(ratio).toBeGreaterThanOrEqual(TOLERANCE.least);
  expect(ratio).toBeLessThanOrEqual(TOLERANCE.most);
}

describe.skipIf(process.platform !== 'linux')('the memory plan and measured peaks', () => {
  let peaks: Peaks;
  beforeAll(async () => {
    peaks = await measure(CASES, (each) => {
      const { vocabSize = config.vocabSize, cap: logitSoftcap = null } = each;
      return { ...each, config: { ...config, vocabSize, logitSoftcap } };
    });
  });

  it.each(CASES.flat())('$name', (each) => expectWithinPlan(peaks.get(each.name)!, each));
});

describe.skipIf(process.platform !== 'linux')('the memory plan and measured peaks in int8', () => {
  let folder: string;
  let peaks: Peaks;

  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'readapt-peaks-'));
    const [base, cache] = [path.join(folder, 'base'), path.join(folder, 'cache')];
    await saveRandomBase(base, int8Config);
    peaks = await measure(INT8_CASES, ({ isFirst = false, ...each }) => {
      return { ...each, config: int8Config, int8: { folder: base, cache, isFirst } };
    });
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it.each(INT8_CASES.flat())('$name', (each) => expectWithinPlan(peaks.get(each.name)!, each));
});
