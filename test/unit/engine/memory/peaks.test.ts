import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import type { ModelConfig } from '../../../../core/models/config/model-config.ts';

const CHILD = path.join(import.meta.dirname, '../support/peak-child.ts');

/** One batch that a process of its own computes. */
export interface PeakCase {
  readonly kind: 'gradients' | 'labelLosses';
  readonly rows: number;
  readonly tokens: number;
  readonly labels: number;
  readonly rank: number;
  readonly dora?: boolean;
  readonly dropout?: boolean;
  /** Bytes for activations; default: no limit. */
  readonly memory?: number;
  readonly config: Partial<ModelConfig>;
}

/** 32 million weights: enough for activations of hundreds of megabytes, and a second or two of work. */
const config = {
  hiddenSize: 512,
  intermediateSize: 1408,
  numLayers: 8,
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
  /** Of the logits. Default: none. */
  readonly cap?: number;
}

const CASES: readonly Case[] = [
  { name: 'many short rows', kind: 'gradients', rows: 12, tokens: 32, labels: 8, rank: 8, recompute: 'cheap' },
  { name: 'a row of 500', kind: 'gradients', rows: 1, tokens: 500, labels: 16, rank: 16, recompute: 'cheap' },
  { name: 'a row of 2,048', kind: 'gradients', rows: 1, tokens: 2048, labels: 64, rank: 16, recompute: 'scores' },
  {
    name: 'a row of 2,048 with little memory',
    kind: 'gradients',
    rows: 1,
    tokens: 2048,
    labels: 64,
    rank: 16,
    memory: 0,
    recompute: 'layers',
  },
  { name: 'all labels', kind: 'gradients', rows: 1, tokens: 1024, labels: 1024, rank: 8, recompute: 'scores' },
  {
    name: 'a completion of 2,000 with a large vocabulary',
    kind: 'gradients',
    rows: 1,
    tokens: 2048,
    labels: 2000,
    rank: 8,
    vocabSize: 65_536,
    recompute: 'scores',
  },
  {
    name: 'losses of a completion of 2,000 with a large vocabulary',
    kind: 'labelLosses',
    rows: 1,
    tokens: 2048,
    labels: 2000,
    rank: 8,
    vocabSize: 65_536,
    recompute: 'scores',
  },
  {
    name: 'capped logits of a long completion',
    kind: 'gradients',
    rows: 1,
    tokens: 1024,
    labels: 1000,
    rank: 8,
    vocabSize: 65_536,
    cap: 30,
    recompute: 'scores',
  },
  {
    name: 'DoRA with dropout',
    kind: 'gradients',
    rows: 1,
    tokens: 1024,
    labels: 16,
    rank: 64,
    dora: true,
    dropout: true,
    recompute: 'scores',
  },
  { name: 'losses alone', kind: 'labelLosses', rows: 2, tokens: 512, labels: 256, rank: 8, recompute: 'cheap' },
];

/** A plan below the truth lets a process be killed; one far above it refuses jobs that would fit. */
const TOLERANCE = { least: 1, most: 1.5 };

describe.skipIf(process.platform !== 'linux')('the memory plan and measured peaks', () => {
  it.each(CASES)(
    '$name',
    { timeout: 120_000 },
    async ({ name, recompute, vocabSize = config.vocabSize, cap: logitSoftcap = null, ...peakCase }) => {
      const argument = JSON.stringify({ ...peakCase, config: { ...config, vocabSize, logitSoftcap } });
      const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', CHILD, argument]);
      const found = JSON.parse(stdout) as { peak: number; planned: number; recompute: string };
      expect(found.recompute).toBe(recompute);
      const ratio = found.planned / found.peak;
      if (process.env['READAPT_TEST_LOG_LEVEL'] === 'debug') console.log(name, found, ratio.toFixed(2));
      expect(ratio).toBeGreaterThanOrEqual(TOLERANCE.least);
      expect(ratio).toBeLessThanOrEqual(TOLERANCE.most);
    },
  );
});
