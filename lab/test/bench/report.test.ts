import { describe, expect, it } from 'vitest';
import { renderSvg } from '../../bench/chart.ts';
import { bars, engineChart } from '../../bench/engine/report/chart.ts';
import {
  GOALS,
  workloadResult,
  type BenchDocument,
  type WorkloadSettings,
} from '../../bench/engine/report/document.ts';
import type { SideMeasurement, StartFigures } from '../../bench/engine/measure.ts';
import { joinDocuments } from '../../bench/engine/report/join.ts';
import { toMarkdown, withSection } from '../../bench/engine/report/markdown.ts';
import type { SideName, StepProfile } from '../../bench/engine/sides/side-protocol.ts';
import type { PromptBatch, WorkBatch, Workload } from '../../bench/engine/workload.ts';

const batch = (tokens: number, longest: number): WorkBatch => {
  return { examples: Array.from({ length: 10 }, () => ({ tokenIds: [1, 2], labelSpans: [[1, 2]] })), tokens, longest };
};

const prompts = (promptTokens: number, longest: number): PromptBatch => {
  return { prompts: Array.from({ length: 10 }, () => [1]), newTokens: 4, tokens: 40, promptTokens, longest };
};

/** Workload with training steps of 60 and 40 tokens, an evaluation of 100 tokens and 40 new tokens, all of 10 rows. */
const WORKLOAD: Workload = {
  training: { grouped: [batch(60, 6), batch(40, 5)], unsorted: [batch(50, 7), batch(50, 8)] },
  evaluation: { grouped: [batch(100, 10)], unsorted: [batch(100, 10)] },
  generation: { grouped: [prompts(50, 6)], unsorted: [prompts(50, 8)] },
};

const SETTINGS: WorkloadSettings = { rows: 'sst2', batchSize: 10, rounds: 3, steps: 2, newTokens: 4 };

const PROFILE: StepProfile = {
  operators: { Gemm: 0.6, FusedMatMul: 0.1, Mul: 0.2, Cast: 0.001 },
  products: 0.7,
  graph: 0.92,
  step: 1,
};

interface Figures {
  readonly name: SideName;
  /**
   * Seconds of a training step in each of three rounds. An evaluation takes half as long, and so does the generation of
   * all texts. PyTorch's unsorted rounds take twice as long.
   */
  readonly rounds: readonly [number, number, number];
  readonly mebibytes: number;
  readonly losses?: readonly [number, number];
  readonly equalTokens?: number;
}

function start(firstStep: number, extra: number, { rounds, mebibytes, losses = [4, 5] }: Figures): StartFigures {
  const timed = (seconds: number, loss: number) => ({ seconds, loss, tokens: 1 });
  return {
    firstStep,
    training: [timed(rounds[0] + extra, losses[0]), timed(rounds[0], losses[1])],
    evaluation: [timed(rounds[0] / 2 + extra, 4)],
    generation: [{ seconds: rounds[0] / 2 + 2 * extra, tokens: 40 }],
    peakMemory: mebibytes * 2 ** 20,
  };
}

/**
 * Makes the measurements of a side. The cold process takes 3 s to its first step and compiles for 2 s in a pass (4 s
 * for generation), the cached one 1.5 s and 0.25 s (0.5 s).
 */
function measurement(figures: Figures): SideMeasurement {
  const { name, rounds } = figures;
  const torch = name.startsWith('torch');
  const times = (factor: number) => ({
    training: rounds.map((seconds) => [factor * seconds, factor * seconds]),
    evaluation: rounds.map((seconds) => [(factor * seconds) / 2]),
    generation: rounds.map((seconds) => [(factor * seconds) / 2]),
  });
  return {
    name,
    precision: name.split('-')[1]!,
    cold: torch ? null : start(3, 2, figures),
    cached: start(1.5, 0.25, figures),
    grouped: times(1),
    unsorted: times(torch ? 2 : 1),
    equalTokens: figures.equalTokens ?? 1,
    versions: torch ? { torch: '2.15.0' } : { node: '20.20.2' },
    profile: torch ? null : PROFILE,
  };
}

const MEASURED = [
  measurement({ name: 'readapt-f32', rounds: [1, 1, 1.25], mebibytes: 512, losses: [4.25, 5], equalTokens: 0.9875 }),
  measurement({ name: 'readapt-int8', rounds: [0.5, 0.5, 0.5], mebibytes: 256 }),
  measurement({ name: 'torch-f32', rounds: [4, 4, 4], mebibytes: 2048 }),
  measurement({ name: 'torch-bf16', rounds: [2, 4, 2], mebibytes: 1024 }),
  measurement({ name: 'torch-autocast', rounds: [5, 5, 5], mebibytes: 3072 }),
];

function document(measured: readonly SideMeasurement[]): BenchDocument {
  return {
    command: 'npm run bench:engine -- --rounds 3 --steps 2',
    started: '2026-01-02T03:04:05.000Z',
    finished: '2026-01-02T03:05:05.000Z',
    model: { name: 'tiny', parameters: 3.1e6 },
    adapter: { method: 'lora', rank: 8, modules: ['q_proj'] },
    threads: 2,
    machine: { cpu: 'Some CPU', cores: 2, memory: 8 * 2 ** 30, system: 'Linux 6 x64' },
    versions: { node: '20.20.2', torch: '2.15.0' },
    load: [0.1, 1.9],
    goals: GOALS,
    results: [workloadResult(SETTINGS, WORKLOAD, measured)],
  };
}

describe('the figures of a workload', () => {
  const { sides, ratios } = workloadResult(SETTINGS, WORKLOAD, MEASURED);

  it('are tokens a second over the rounds, and the time of the first pass beyond later ones', () => {
    const speeds = {
      training: { median: 50, least: 40, most: 50 },
      evaluation: { median: 200, least: 160, most: 200 },
      generation: { median: 80, least: 64, most: 80 },
    };
    expect(sides[0]!.summary).toEqual({
      grouped: speeds,
      unsorted: speeds,
      compile: {
        cold: { training: 2, evaluation: 2, generation: 4 },
        cached: { training: 0.25, evaluation: 0.25, generation: 0.5 },
      },
      products: 0.7,
    });
    expect(sides[2]!.summary.compile).toEqual({
      cold: null,
      cached: { training: 0.25, evaluation: 0.25, generation: 0.5 },
    });
    expect(sides[2]!.summary.products).toBeNull();
  });

  it('compare each Readapt side with the best PyTorch mode and batching, round by round', () => {
    expect(ratios.map(({ side }) => side)).toEqual(['readapt-f32', 'readapt-int8']);
    expect(ratios[0]).toEqual({
      side: 'readapt-f32',
      grouped: {
        training: { median: 2, least: 1.6, most: 4, against: 'torch-bf16' },
        evaluation: { median: 2, least: 1.6, most: 4, against: 'torch-bf16' },
        generation: { median: 2, least: 1.6, most: 4, against: 'torch-bf16' },
      },
      unsorted: {
        training: { median: 4, least: 3.2, most: 8, against: 'torch-bf16' },
        evaluation: { median: 4, least: 3.2, most: 8, against: 'torch-bf16' },
        generation: { median: 4, least: 3.2, most: 8, against: 'torch-bf16' },
      },
      peakMemory: 0.5,
      firstStep: 1,
      lossDifference: 0.25,
    });
    expect(workloadResult(SETTINGS, WORKLOAD, MEASURED.slice(0, 2)).ratios).toEqual([]);
  });
});

describe('the figures of a run', () => {
  it('survive the JSON file, so that a run can be reported again', () => {
    const written = JSON.parse(JSON.stringify(document(MEASURED))) as BenchDocument;
    expect(written).toEqual(document(MEASURED));
    expect(toMarkdown(written)).toBe(toMarkdown(document(MEASURED)));
  });

  it('take in the rounds of another run on the same batches', () => {
    const slow = MEASURED.map((side) => {
      return { ...side, grouped: { ...side.grouped, training: [[9, 9]], generation: [[8]] } };
    });
    const [result, ...others] = joinDocuments([document(MEASURED), document(slow)]).results;
    expect([others, result!.rounds]).toEqual([[], 6]);
    expect(result!.sides[0]!.grouped.training).toEqual([...MEASURED[0]!.grouped.training, [9, 9]]);
    expect(result!.ratios[0]!.grouped.training.least).toBe(1);
    expect(result!.sides[0]!.grouped.generation).toEqual([...MEASURED[0]!.grouped.generation, [8]]);
    expect([result!.newTokens, result!.ratios[0]!.grouped.generation.least]).toEqual([4, 1]);
  });

  it('are joined with those of other rows, but not with those of another model', () => {
    const one = document(MEASURED);
    const chat = { ...one, results: [{ ...one.results[0]!, rows: 'chat' as const, batchSize: 4 }] };
    const text = toMarkdown(joinDocuments([one, chat]));
    expect(text).toContain('| Readapt, f32 | SST-2, 10 rows | 2.00');
    expect(text).toContain('| Readapt, f32 | chat, 4 rows | 2.00');
    expect(joinDocuments([one, chat]).results.map(({ rounds }) => rounds)).toEqual([3, 3]);
    const other = { ...one, model: { name: 'large', parameters: 1e9 } };
    expect(() => joinDocuments([one, other])).toThrow('cannot be joined: their model are');
  });

  it('are refused where generation was not measured yet', () => {
    const written = document(MEASURED);
    const [result] = written.results;
    const { generation: _, ...workload } = result!.workload;
    const earlier = { ...written, results: [{ ...result!, workload }] } as unknown as BenchDocument;
    const message =
      'the run "npm run bench:engine -- --rounds 3 --steps 2" of 2026-01-02 has no figures of generation, which the ' +
      'benchmark did not measure then; run it again to report it';
    expect(() => joinDocuments([earlier])).toThrow(message);
    expect(() => joinDocuments([written, earlier])).toThrow(message);
  });
});

describe('the report', () => {
  const text = toMarkdown(document(MEASURED));

  it.each([
    '| Readapt, f32 | SST-2, 10 rows | 2.00 (1.60–4.00) × PyTorch, bf16 weights; 4.00 × unsorted |',
    '| Readapt, f32 | SST-2, 10 rows | 50 (40–50) | 200 (160–200) | 80 (64–80) | – | 512 MiB ' +
      '| 3.0 s · 1.5 s | 8.0 s · 1.0 s |',
    '| PyTorch, bf16 weights | SST-2, 10 rows | 25 (13–25) | 100 (50–100) | 40 (20–40) | 13 · 50 · 20 | 1024 MiB ' +
      '| – · 1.5 s | – · 1.0 s |',
    'training (goal ≥ 3 ×) | evaluation (goal ≥ 3 ×) | generation (goal ≥ 2 ×) | peak memory (goal ≤ 0.5 ×) |',
    "- SST-2, 10 rows: 3 rounds of 2 training steps over 5 tokens a row. PyTorch's padding adds 10 % to grouped " +
      'batches and 50 % to unsorted ones. Prompts have 5 tokens and get 4 new ones; padding adds 20 % to grouped ' +
      'prompts and 60 % to unsorted ones.',
    'Each side ran with 2 threads on Some CPU, 2 cores, 8 GiB, Linux 6 x64. Versions: node 20.20.2, torch 2.15.0. ' +
      'The measurements (`npm run bench:engine -- --rounds 3 --steps 2`) began on 2026-01-02; the load average was ' +
      '0.1 before them and 1.9 after them.',
    '| **0.50** × | **1.5 s** (1.00 ×) | 70 % | 3e-1 nats | 98.8 % |',
    '| Readapt, int8 base | SST-2, 10 rows ' +
      '| **4.00** (4.00–8.00) × PyTorch, bf16 weights; 8.00 × unsorted '.repeat(3) +
      '| **0.25** × |',
    '4.00 × unsorted | **2.00** (1.60–4.00) × PyTorch, bf16 weights; 4.00 × unsorted | **0.50** × |',
    'matrix products take 70 % of a training step. By operator: Gemm 60 %, Mul 20 %, FusedMatMul 10 %, ' +
      'other operators 0 %, ONNX Runtime between operators 2 %, work outside ONNX Runtime (making the batch, copies, ' +
      'clipping, AdamW) 8 %.',
  ])('says: %s', (line) => {
    expect(text).toContain(line);
  });

  it('names the precision that the engine chose itself', () => {
    const chosen = { ...measurement({ name: 'readapt-auto', rounds: [1, 1, 1], mebibytes: 512 }), precision: 'int8' };
    expect(toMarkdown(document([chosen]))).toContain('| Readapt, auto (int8) | SST-2, 10 rows |');
  });

  it('replaces one section of the page and keeps the rest', () => {
    const page = 'a\n<!-- bench:engine demo -->\nold\n<!-- /bench:engine demo -->\nb\n';
    expect(withSection(page, 'demo', 'new')).toBe(
      'a\n<!-- bench:engine demo -->\nnew\n<!-- /bench:engine demo -->\nb\n',
    );
    expect(() => withSection(page, 'other', 'new')).toThrow('no markers');
  });
});

describe('the chart', () => {
  it('has a bar for each side, and goals that follow from the best PyTorch mode', () => {
    const [result] = document(MEASURED).results;
    expect(bars(result!, 'training')[0]).toEqual({
      workload: 'SST-2, 10 rows',
      side: 'Readapt, f32',
      ours: true,
      median: 50,
      least: 40,
      most: 50,
      goal: 75,
    });
    expect(bars(result!, 'generation').map(({ median, goal }) => [median, goal])[0]).toEqual([80, 80]);
    expect(bars(result!, 'peakMemory').map(({ median, goal, ours }) => [median, goal, ours])).toEqual([
      [0.5, 0.5, true],
      [0.25, 0.5, true],
      [2, 0.5, false],
      [1, 0.5, false],
      [3, 0.5, false],
    ]);
  });

  it('is drawn as an SVG that names sides, batch sizes, units and goals', async () => {
    const svg = await renderSvg(engineChart(document(MEASURED)));
    expect(svg).toMatch(/^<svg [^]*<\/svg>\n$/);
    expect(svg.match(/stroke-dasharray/g)).toHaveLength(4);
    for (const words of [
      'Readapt, int8 base',
      'PyTorch, bf16 autocast',
      'SST-2, 10 rows',
      'Training, tokens/s',
      'Generation, new tokens/s',
      'goal: 2 × best PyTorch',
      'Peak memory, GiB',
      'goal: 3 × best PyTorch',
      '3 million parameters',
    ]) {
      expect(svg).toContain(words);
    }
  });

  it('draws Readapt alone without goals', async () => {
    const svg = await renderSvg(engineChart(document(MEASURED.slice(0, 1))));
    expect(svg).toContain('Readapt, f32');
    expect(svg).not.toMatch(/goal:|stroke-dasharray|NaN|null/);
  });
});
