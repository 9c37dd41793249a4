import type { BatchResult, BenchDocument } from './document.ts';
import type { SideName, StepProfile } from './side-protocol.ts';
import type { Summary } from './statistics.ts';

const NAMES: Readonly<Record<SideName, string>> = {
  readapt: 'Readapt, compiled, f32',
  f32: 'PyTorch, f32',
  bf16: 'PyTorch, bf16 weights',
  autocast: 'PyTorch, bf16 autocast',
};

/** The run as Markdown. */
export function toMarkdown(document: BenchDocument): string {
  const { model, rounds, steps, threads, cpu, load } = document;
  const versions = Object.assign({}, ...document.batches[0]!.sides.map((side) => side.versions)) as Record<string, string>;
  const list = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  return [
    `### ${model}`,
    '',
    `${rounds} rounds of ${steps} steps, ${threads} threads, ${cpu}; ${list.join(', ')}. Load average ${load[0].toFixed(1)} before and ${load[1].toFixed(1)} after.`,
    '',
    '| | batch | training, tokens/s | evaluation, tokens/s | peak memory | first step after start | first step of a shape, extra |',
    '|---|---|---|---|---|---|---|',
    ...document.batches.flatMap(sideLines),
    '',
    ...document.batches.flatMap(({ batchSize, ratios }) => (ratios ? ratioLines(batchSize, ratios) : [])),
    ...document.batches.flatMap(profileLines),
  ].join('\n');
}

function sideLines({ batchSize, sides }: BatchResult): string[] {
  return sides.map(({ name, summary, peakMemory, firstStep }) => {
    const cells = [
      NAMES[name],
      batchSize,
      range(summary.training, 0),
      range(summary.evaluation, 0),
      `${Math.round(peakMemory / 2 ** 20)} MiB`,
      `${firstStep.toFixed(1)} s`,
      `${summary.compile.toFixed(2)} s`,
    ];
    return `| ${cells.join(' | ')} |`;
  });
}

function ratioLines(batchSize: number, ratios: NonNullable<BatchResult['ratios']>): string[] {
  const { training, evaluation, peakMemory, firstStep, lossDifference } = ratios;
  return [
    `- Batch ${batchSize}: training **${range(training, 2)} ×** (best of PyTorch: ${training.against}; goal 3), evaluation ` +
      `**${range(evaluation, 2)} ×** (${evaluation.against}; goal 3), peak memory **${peakMemory.toFixed(2)} ×** (goal 0.5), time to ` +
      `the first step ${firstStep.toFixed(2)} ×; losses of the first steps differ from PyTorch's in f32 by ${lossDifference.toExponential(0)} nats at most.`,
  ];
}

function profileLines({ batchSize, sides }: BatchResult): string[] {
  const profile = sides.find(({ name }) => name === 'readapt')?.profile;
  if (!profile) return [];
  const outside = (100 * profile.outsideGraph) / profile.step;
  return [
    `- Batch ${batchSize}, where the engine's step goes (its longest batch): ${shares(profile)}; outside the runtime (batch, ` +
      `clipping, AdamW) ${outside.toFixed(1)} % of the step.`,
  ];
}

/** Shares of the graph's kernel time; what is below 1 % is summed up. */
function shares({ operators }: StepProfile): string {
  const total = Object.values(operators).reduce((sum, seconds) => sum + seconds, 0);
  const all = Object.entries(operators).map(([name, seconds]) => [name, (100 * seconds) / total] as const);
  const large = all.filter(([, share]) => share >= 1).sort((a, b) => b[1] - a[1]);
  const rest = 100 - large.reduce((sum, [, share]) => sum + share, 0);
  return [...large.map(([name, share]) => `${name} ${share.toFixed(0)} %`), `others ${rest.toFixed(0)} %`].join(', ');
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
