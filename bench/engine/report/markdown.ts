import type { StepProfile } from '../sides/side-protocol.ts';
import { GOALS, type BatchResult, type BenchDocument, type Ratios, type SideResult } from './document.ts';
import { displayName } from './names.ts';
import { sum, type Summary } from './statistics.ts';

/** Writes a run as one section of docs/performance.md. */
export function toMarkdown(document: BenchDocument): string {
  const { model, batches } = document;
  const goals = batches.flatMap(goalRows);
  return [
    `### ${model.name}`,
    '',
    conditions(document),
    '',
    ...(goals.length > 0 ? [...GOAL_HEADER, ...goals, ''] : []),
    ...SIDE_HEADER,
    ...batches.flatMap(sideRows),
    '',
    ...batches.flatMap(profileLines),
  ].join('\n');
}

function conditions({ model, rounds, steps, threads, machine, versions, load, started }: BenchDocument): string {
  const packages = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  return [
    `The model has ${(model.parameters / 1e6).toFixed(1)} million parameters. Each side ran ${rounds} rounds of ${steps}`,
    `training steps with ${threads} threads on ${machine.cpu}, ${machine.cores} cores, ${Math.round(machine.memory / 2 ** 30)} GiB,`,
    `${machine.system}. Versions: ${packages.join(', ')}. The run began on ${started.slice(0, 10)}; the load average was`,
    `${load[0].toFixed(1)} before it and ${load[1].toFixed(1)} after it.`,
  ].join(' ');
}

const GOAL_HEADER = [
  `| side | batch | training (goal ≥ ${GOALS.training} ×) | evaluation (goal ≥ ${GOALS.evaluation} ×) | ` +
    `peak memory (goal ≤ ${GOALS.peakMemory} ×) | first step (goal ≤ ${GOALS.firstStep} s) | ` +
    `matrix products (goal ≥ ${percent(GOALS.products)}) | loss difference |`,
  '|---|---|---|---|---|---|---|---|',
];

/** Compares each Readapt side with PyTorch and with the goals. */
function goalRows({ batchSize, sides, ratios }: BatchResult): string[] {
  return sides.flatMap((side) => {
    const ratio = ratios.find((one) => one.side === side.name);
    return ratio ? [row([displayName(side), batchSize, ...goalCells(side, ratio)])] : [];
  });
}

/** A goal counts as reached if the figure reaches it as printed, so that the page never contradicts itself. */
function goalCells({ cached, summary }: SideResult, ratio: Ratios): string[] {
  const mark = (figure: string, reached: boolean): string => (reached ? `**${figure}**` : figure);
  const speed = (figure: 'training' | 'evaluation'): string => {
    const [middle, spread] = [ratio[figure].median.toFixed(2), range(ratio[figure], 2)];
    return `${mark(middle, Number(middle) >= GOALS[figure])} ${spread} × ${displayName({ name: ratio[figure].against })}`;
  };
  const memory = ratio.peakMemory.toFixed(2);
  const firstStep = cached.firstStep.toFixed(1);
  const products = summary.products === null ? null : Math.round(100 * summary.products);
  return [
    speed('training'),
    speed('evaluation'),
    `${mark(memory, Number(memory) <= GOALS.peakMemory)} ×`,
    `${mark(`${firstStep} s`, Number(firstStep) <= GOALS.firstStep)} (${ratio.firstStep.toFixed(2)} ×)`,
    products === null ? '–' : mark(`${products} %`, products >= 100 * GOALS.products),
    `${ratio.lossDifference.toExponential(0)} nats`,
  ];
}

const SIDE_HEADER = [
  '| side | batch | training, tokens/s | evaluation, tokens/s | peak memory | first step, cold · cached | compilation, cold · cached |',
  '|---|---|---|---|---|---|---|',
];

function sideRows({ batchSize, sides }: BatchResult): string[] {
  return sides.map((side) => {
    const { summary, cold, cached } = side;
    const compilation = (start: 'cold' | 'cached'): number => sum(Object.values(summary.compile[start]));
    return row([
      displayName(side),
      batchSize,
      `${summary.training.median.toFixed(0)} ${range(summary.training, 0)}`,
      `${summary.evaluation.median.toFixed(0)} ${range(summary.evaluation, 0)}`,
      `${Math.round(cached.peakMemory / 2 ** 20)} MiB`,
      `${cold.firstStep.toFixed(1)} s · ${cached.firstStep.toFixed(1)} s`,
      `${compilation('cold').toFixed(1)} s · ${compilation('cached').toFixed(1)} s`,
    ]);
  });
}

function profileLines({ batchSize, sides }: BatchResult): string[] {
  return sides.flatMap((side) =>
    side.profile ? [`- ${displayName(side)}, batch ${batchSize}: ${shares(side.profile)}.`] : [],
  );
}

/** Says what a training step's time is spent on; operators below 1 % are summed up. */
function shares({ operators, products, graph, step }: StepProfile): string {
  const all = Object.entries(operators).sort((a, b) => b[1] - a[1]);
  const large = all.filter(([, time]) => time >= step / 100);
  const total = sum(all.map(([, time]) => time));
  const small = total - sum(large.map(([, time]) => time));
  const parts = [
    ...large.map(([name, time]) => `${name} ${percent(time / step)}`),
    `other operators ${percent(small / step)}`,
    `ONNX Runtime between operators ${percent((graph - total) / step)}`,
    `work outside ONNX Runtime (making the batch, copies, clipping, AdamW) ${percent((step - graph) / step)}`,
  ];
  return `matrix products take ${percent(products / step)} of a training step. By operator: ${parts.join(', ')}`;
}

function row(cells: readonly (string | number)[]): string {
  return `| ${cells.join(' | ')} |`;
}

function percent(share: number): string {
  return `${Math.round(100 * share)} %`;
}

function range({ least, most }: Summary, digits: number): string {
  return `(${least.toFixed(digits)}–${most.toFixed(digits)})`;
}

/**
 * Replaces the section of a model between its markers.
 * @throws Error if the page has no such markers
 */
export function withSection(page: string, model: string, section: string): string {
  const [begin, end] = [`<!-- bench:engine ${model} -->`, `<!-- /bench:engine ${model} -->`];
  const [from, to] = [page.indexOf(begin), page.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`found no markers ${begin} … ${end} in the page, expected both in order`);
  return `${page.slice(0, from + begin.length)}\n${section}\n${page.slice(to)}`;
}
