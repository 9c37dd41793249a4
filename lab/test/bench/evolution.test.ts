import { describe, expect, it } from 'vitest';
import { measureEvolution, type EvolutionBenchDocument } from '../../bench/evolution/measure.ts';
import { benchCommand, type EvolutionBenchOptions } from '../../bench/evolution/options.ts';
import { toMarkdown } from '../../bench/evolution/report.ts';

const options = (...args: string[]) =>
  benchCommand()
    .parse(['node', 'bench', ...args])
    .opts<EvolutionBenchOptions>();

describe('bench:evolution', () => {
  it('measures every task with ONNX Runtime on the demo, and reports that', async () => {
    const document = await measureEvolution(options('--rounds', '1', '--no-reference', '--no-memory'), () => undefined);
    const tasks = document.timings.map(({ side, task }) => `${side} ${task}`);
    const points = new Array<string>(3).fill('onnxruntime fused_point');
    expect(tasks).toEqual(['onnxruntime evolution_from_folders', 'onnxruntime fusion_prepared', ...points]);
    for (const { ms, cpuMs } of document.timings) {
      expect(ms).toBeGreaterThan(0);
      expect(cpuMs).toBeGreaterThanOrEqual(0);
    }
    expect(document.modules).toBe(42);
    expect(document.capturedEnergy).toBeCloseTo(0.75, 1);
    expect(toMarkdown(document)).toContain('| evolution, from folders |');
  });

  it('compares the sides within each round', () => {
    const timing = (round: number, side: 'onnxruntime' | 'javascript', ms: number) => {
      return { round, side, task: 'evolution_from_folders', ms, cpuMs: ms } as const;
    };
    // The machine was busy in the second round: 10 and 11 times within rounds, while the medians give 10.5.
    const timings = [
      timing(1, 'onnxruntime', 100),
      timing(1, 'javascript', 1000),
      timing(2, 'onnxruntime', 1000),
      timing(2, 'javascript', 11_000),
    ];
    const document = {
      modules: 1,
      capturedEnergy: 0.5,
      peakMemory: 2 ** 20,
      rounds: 2,
      machine: { cpu: 'a processor', threads: 2, memory: 1 },
      load: [0, 1],
      timings,
    } as unknown as EvolutionBenchDocument;
    expect(toMarkdown(document)).toContain('| evolution, from folders | 550 ms | 550 ms | 6.00 s | 10.5 × |');
  });

  it('refuses what is no number of rounds', () => {
    const command = benchCommand()
      .exitOverride()
      .configureOutput({ writeErr: () => undefined });
    expect(() => command.parse(['node', 'bench', '--rounds', '0'])).toThrow('expected a positive integer, found "0"');
  });
});
