import { isReadapt, type StepProfile } from '../sides/side-protocol.ts';
import { FIGURES, type Batching, type Figure } from '../workload.ts';
import { GOALS, type BenchDocument, type Ratios, type SideResult, type WorkloadResult } from './document.ts';
import { displayName, workloadName } from './names.ts';
import { sum, type Summary } from './statistics.ts';

/** Writes a run as one section of lab/docs/performance.md. */
export function toMarkdown(document: BenchDocument): string {
  const { model, results } = document;
  const goals = results.flatMap(goalRows);
  return [
    `### ${model.name}`,
    '',
    conditions(document),
    '',
    ...results.map(workloadLine),
    '',
    ...(goals.length > 0 ? [...GOAL_HEADER, ...goals, ''] : []),
    ...SIDE_HEADER,
    ...results.flatMap(sideRows),
    '',
    ...results.flatMap(profileLines),
  ].join('\n');
}

function conditions({ model, threads, machine, versions, load, started, command }: BenchDocument): string {
  const packages = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  return [
    `The model has ${(model.parameters / 1e6).toFixed(1)} million parameters. Each side ran with ${threads} threads on`,
    `${machine.cpu}, ${machine.cores} cores, ${Math.round(machine.memory / 2 ** 30)} GiB, ${machine.system}. Versions:`,
    `${packages.join(', ')}. The measurements (\`${command}\`) began on ${started.slice(0, 10)}; the load average was`,
    `${load[0].toFixed(1)} before them and ${load[1].toFixed(1)} after them.`,
  ].join(' ');
}

/** Writes the mean length of rows and prompts, and the share that padding adds to them. */
function workloadLine({ workload, rounds, steps, newTokens, ...settings }: WorkloadResult): string {
  const rows = lengths(workload.training, ({ tokens }) => tokens);
  const prompts = lengths(workload.generation, ({ promptTokens }) => promptTokens);
  return [
    `- ${workloadName(settings)}: ${rounds} ${rounds === 1 ? 'round' : 'rounds'} of ${steps} training steps over`,
    `${rows.mean} tokens a row. PyTorch's padding adds ${rows.grouped} to grouped batches`,
    `and ${rows.unsorted} to unsorted ones.`,
    `Prompts have ${prompts.mean} tokens and get ${newTokens} new ones; padding adds ${prompts.grouped} to grouped`,
    `prompts and ${prompts.unsorted} to unsorted ones.`,
  ].join(' ');
}

interface PaddedBatch {
  readonly rows: number;
  readonly longest: number;
}

/** Computes the mean length of rows or prompts, and the share that padding adds to them. */
function lengths<Batch extends PaddedBatch>(
  { grouped, unsorted }: Readonly<Record<Batching, readonly Batch[]>>,
  tokensOf: (batch: Batch) => number,
) {
  const tokens = sum(grouped.map(tokensOf));
  const padding = (batches: readonly Batch[]) =>
    percent(sum(batches.map(({ rows, longest }) => rows * longest)) / tokens - 1);
  return {
    mean: (tokens / sum(grouped.map(({ rows }) => rows))).toFixed(0),
    grouped: padding(grouped),
    unsorted: padding(unsorted),
  };
}

const GOAL_HEADER = [
  `| side | rows | training (goal ≥ ${GOALS.training} ×) | evaluation (goal ≥ ${GOALS.evaluation} ×) | ` +
    `generation (goal ≥ ${GOALS.generation} ×) | peak memory (goal ≤ ${GOALS.peakMemory} ×) | ` +
    `first step (goal ≤ ${GOALS.firstStep} s) | matrix products (goal ≥ ${percent(GOALS.products)}) | ` +
    `loss difference | equal tokens |`,
  '|---|---|---|---|---|---|---|---|---|---|',
];

/** Compares each Readapt side with PyTorch and with the goals. */
function goalRows({ sides, ratios, ...settings }: WorkloadResult): string[] {
  return sides.flatMap((side) => {
    const ratio = ratios.find((one) => one.side === side.name);
    return ratio ? [row([displayName(side), workloadName(settings), ...goalCells(side, ratio)])] : [];
  });
}

/**
 * Writes the figures with goals. A goal is reached if the rounded figure reaches it, so that the page agrees with
 * itself.
 */
function goalCells({ cached, summary, equalTokens }: SideResult, ratio: Ratios): string[] {
  const mark = (figure: string, reached: boolean): string => (reached ? `**${figure}**` : figure);
  const speed = (figure: Figure): string => {
    const { grouped, unsorted } = { grouped: ratio.grouped[figure], unsorted: ratio.unsorted[figure] };
    const middle = grouped.median.toFixed(2);
    const best = `${mark(middle, Number(middle) >= GOALS[figure])} ${range(grouped, 2)}`;
    return `${best} × ${displayName({ name: grouped.against })}; ${unsorted.median.toFixed(2)} × unsorted`;
  };
  const memory = ratio.peakMemory.toFixed(2);
  const firstStep = cached.firstStep.toFixed(1);
  const products = summary.products === null ? null : Math.round(100 * summary.products);
  return [
    speed('training'),
    speed('evaluation'),
    speed('generation'),
    `${mark(memory, Number(memory) <= GOALS.peakMemory)} ×`,
    `${mark(`${firstStep} s`, Number(firstStep) <= GOALS.firstStep)} (${ratio.firstStep.toFixed(2)} ×)`,
    products === null ? '–' : mark(`${products} %`, products >= 100 * GOALS.products),
    `${ratio.lossDifference.toExponential(0)} nats`,
    equalTokens === null ? '–' : `${(100 * equalTokens).toFixed(1)} %`,
  ];
}

const SIDE_HEADER = [
  '| side | rows | training, tokens/s | evaluation, tokens/s | generation, new tokens/s ' +
    '| unsorted training · evaluation · generation | peak memory | first step, cold · cached ' +
    '| compilation, cold · cached |',
  '|---|---|---|---|---|---|---|---|---|',
];

function sideRows({ sides, ...settings }: WorkloadResult): string[] {
  return sides.map((side) => {
    const { summary, cold, cached } = side;
    const { grouped, unsorted, compile } = summary;
    const compilation = (start: 'cold' | 'cached') => compile[start] && sum(Object.values(compile[start]));
    const speed = (figure: Figure) => `${grouped[figure].median.toFixed(0)} ${range(grouped[figure], 0)}`;
    return row([
      displayName(side),
      workloadName(settings),
      speed('training'),
      speed('evaluation'),
      speed('generation'),
      isReadapt(side.name) ? '–' : FIGURES.map((figure) => unsorted[figure].median.toFixed(0)).join(' · '),
      `${Math.round(cached.peakMemory / 2 ** 20)} MiB`,
      both(cold && cold.firstStep, cached.firstStep),
      both(compilation('cold'), compilation('cached')),
    ]);
  });
}

/** Writes the seconds of a cold and a cached start; PyTorch has no cold one. */
function both(cold: number | null, cached: number | null): string {
  return [cold, cached].map((seconds) => (seconds === null ? '–' : `${seconds.toFixed(1)} s`)).join(' · ');
}

function profileLines({ sides, ...settings }: WorkloadResult): string[] {
  return sides.flatMap((side) =>
    side.profile ? [`- ${displayName(side)}, ${workloadName(settings)}: ${shares(side.profile)}.`] : [],
  );
}

/** Writes the shares of a training step by operator. Operators below 1 % are summed up. */
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
