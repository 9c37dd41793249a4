import { GOALS, type BatchResult, type BenchDocument, type Ratios, type SideResult } from './document.ts';
import { displayName } from './names.ts';
import type { StepProfile } from './side-protocol.ts';
import type { Summary } from './statistics.ts';

const HEADER = [
  '| | batch | training, tokens/s | evaluation, tokens/s | peak memory | first step after the start, cold / cached | compilation, cold / cached |',
  '|---|---|---|---|---|---|---|',
];

/** The run as Markdown. */
export function toMarkdown(document: BenchDocument): string {
  const { model, batches } = document;
  return [
    `### ${model.name}`,
    '',
    conditions(document),
    '',
    ...HEADER,
    ...batches.flatMap(sideLines),
    '',
    ...batches.flatMap(({ batchSize, sides, ratios }) => ratios.map((ratio) => ratioLine(batchSize, sides, ratio))),
    ...batches.flatMap(profileLines),
  ].join('\n');
}

function conditions({ model, rounds, steps, threads, machine, versions, load, started }: BenchDocument): string {
  const parts = [
    `${(model.parameters / 1e6).toFixed(1)} million parameters; ${rounds} rounds of ${steps} steps, ${threads} threads`,
    `${machine.cpu}, ${machine.cores} cores, ${Math.round(machine.memory / 2 ** 30)} GiB, ${machine.system}`,
    Object.entries(versions)
      .map(([name, version]) => `${name} ${version}`)
      .join(', '),
  ];
  return `${parts.join('; ')}. ${started.slice(0, 10)}, load average ${load[0].toFixed(1)} before and ${load[1].toFixed(1)} after.`;
}

function sideLines({ batchSize, sides }: BatchResult): string[] {
  return sides.map((side) => {
    const { summary, cold, cached } = side;
    const compilation = [summary.compile.cold, summary.compile.cached].map(
      ({ training, evaluation }) => training + evaluation,
    );
    const cells = [
      displayName(side),
      batchSize,
      range(summary.training, 0),
      range(summary.evaluation, 0),
      `${Math.round(cached.peakMemory / 2 ** 20)} MiB`,
      seconds([cold.firstStep, cached.firstStep]),
      seconds(compilation),
    ];
    return `| ${cells.join(' | ')} |`;
  });
}

function ratioLine(batchSize: number, sides: readonly SideResult[], ratios: Ratios): string {
  const side = sides.find(({ name }) => name === ratios.side)!;
  const rate = (figure: 'training' | 'evaluation') => {
    return `${figure} **${range(ratios[figure], 2)} ×** ${displayName({ name: ratios[figure].against })} (goal ${GOALS[figure]})`;
  };
  return (
    `- Batch ${batchSize}, ${displayName(side)}: ${rate('training')}, ${rate('evaluation')}, peak memory ` +
    `**${ratios.peakMemory.toFixed(2)} ×** PyTorch's least (goal ${GOALS.peakMemory}), first step with a cached graph after ` +
    `**${side.cached.firstStep.toFixed(1)} s** (goal ${GOALS.firstStep}; ${ratios.firstStep.toFixed(2)} × PyTorch's least); losses of ` +
    `the first steps differ from PyTorch's in f32 by ${ratios.lossDifference.toExponential(0)} nats at most.`
  );
}

function profileLines({ batchSize, sides }: BatchResult): string[] {
  return sides.flatMap((side) => {
    if (!side.profile) return [];
    const products = `matrix products **${percent(side.summary.products!)}** of the step (goal ${percent(GOALS.products)})`;
    return [`- Batch ${batchSize}, ${displayName(side)}, where the step goes: ${products}. ${shares(side.profile)}.`];
  });
}

/** Shares of the whole step; operators below 1 % are summed up. */
function shares({ operators, graph, step }: StepProfile): string {
  const all = Object.entries(operators).sort((a, b) => b[1] - a[1]);
  const [large, small] = [all.filter(([, time]) => time >= step / 100), all.filter(([, time]) => time < step / 100)];
  const total = (list: typeof all) => list.reduce((sum, [, time]) => sum + time, 0);
  return [
    ...large.map(([name, time]) => `${name} ${percent(time / step)}`),
    `other operators ${percent(total(small) / step)}`,
    `ONNX Runtime between them ${percent((graph - total(all)) / step)}`,
    `outside it (batch, copies, clipping, AdamW) ${percent((step - graph) / step)}`,
  ].join(', ');
}

function percent(share: number): string {
  return `${Math.round(100 * share)} %`;
}

function seconds(values: readonly number[]): string {
  return `${values.map((value) => value.toFixed(1)).join(' / ')} s`;
}

function range({ median, least, most }: Summary, digits: number): string {
  return `${median.toFixed(digits)} (${least.toFixed(digits)}–${most.toFixed(digits)})`;
}

/**
 * Puts a model's section between its markers.
 * @throws Error where the page has no such markers
 */
export function withSection(page: string, model: string, section: string): string {
  const [begin, end] = [`<!-- bench:engine ${model} -->`, `<!-- /bench:engine ${model} -->`];
  const [from, to] = [page.indexOf(begin), page.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`the page has no markers ${begin} … ${end}`);
  return `${page.slice(0, from + begin.length)}\n${section}\n${page.slice(to)}`;
}
