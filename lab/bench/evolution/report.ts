import { median } from '../engine/report/statistics.ts';
import { TASKS, type EvolutionBenchDocument, type SideName, type TaskName } from './measure.ts';

const NAMES: Readonly<Record<TaskName, string>> = {
  evolution_from_folders: 'evolution, from folders',
  evolution_in_memory: 'evolution, of loaded bases',
  fusion_prepared: 'preparing an adapter',
  fused_point: 'a fused point',
};

/** Writes the medians of a run as a Markdown table. */
export function toMarkdown(document: EvolutionBenchDocument): string {
  const rows = TASKS.filter((task) => valuesOf(document, task, 'onnxruntime').length > 0).map((task) => {
    const [fast, plain] = [medianOf(document, task, 'onnxruntime'), medianOf(document, task, 'javascript')];
    const ratio = plain === null ? '–' : `${ratioOf(document, task).toFixed(1)} ×`;
    const cpu = median(valuesOf(document, task, 'onnxruntime', 'cpuMs'));
    return `| ${NAMES[task]} | ${show(fast)} | ${show(cpu)} | ${show(plain)} | ${ratio} |`;
  });
  const { modules, capturedEnergy, peakMemory, machine, load, rounds } = document;
  return [
    [
      `${modules} modules, ${(100 * capturedEnergy).toFixed(0)} % of the change captured`,
      `${rounds} rounds with ${machine.threads} threads on ${machine.cpu}`,
      `load average ${load[0].toFixed(1)} before and ${load[1].toFixed(1)} after`,
      `peak memory ${(peakMemory / 2 ** 20).toFixed(0)} MiB.`,
    ].join('; '),
    '',
    '| medians | ONNX Runtime | its CPU time | JavaScript | faster |',
    '| --- | --- | --- | --- | --- |',
    ...rows,
  ].join('\n');
}

/** Median over the rounds of JavaScript's time over that of ONNX Runtime within the round. */
function ratioOf(document: EvolutionBenchDocument, task: TaskName): number {
  const rounds = [...new Set(document.timings.map(({ round }) => round))];
  return median(
    rounds.map((round) => {
      const within = { timings: document.timings.filter((timing) => timing.round === round) };
      return medianOf(within, task, 'javascript')! / medianOf(within, task, 'onnxruntime')!;
    }),
  );
}

type Timings = Pick<EvolutionBenchDocument, 'timings'>;

function medianOf(document: Timings, task: TaskName, side: SideName): number | null {
  const values = valuesOf(document, task, side);
  return values.length === 0 ? null : median(values);
}

function valuesOf({ timings }: Timings, task: TaskName, side: SideName, field: 'ms' | 'cpuMs' = 'ms'): number[] {
  return timings.filter((timing) => timing.task === task && timing.side === side).map((timing) => timing[field]);
}

function show(ms: number | null): string {
  if (ms === null) return '–';
  return ms < 1000 ? `${ms.toFixed(0)} ms` : `${(ms / 1000).toFixed(2)} s`;
}
