import type { CaseResult, DeviceCheck, Speed, Speeds } from '../../core/device-check/check-report.ts';
import type { DeviceReport } from '../../core/engine/devices/probe/probe.ts';
import { count } from '../screen/output.ts';

/** Renders as a table which devices work, and why the others do not. */
export async function renderReports(reports: readonly DeviceReport[]): Promise<string> {
  const { default: Table } = await import('cli-table3');
  const style = { head: [], border: [] };
  const head = ['device', 'runtime', 'works', 'because'];
  const table = new Table({ head, style, colWidths: [15, 10, 7, 84], wordWrap: true });
  for (const { device, runtime, available, reason, hint } of reports) {
    table.push([device, runtime, available ? 'yes' : 'no', hint === null ? reason : `${reason}: ${hint}`]);
  }
  return `${table.toString()}\n`;
}

/** Makes the document of `readapt devices --check --json`. */
export function checkDocument(checks: readonly DeviceCheck[]): object {
  return {
    devices: checks.map(({ benchmark, ...check }) => ({
      ...check,
      benchmark: benchmark && {
        model: benchmark.model,
        parameters: benchmark.parameters,
        device: speedsDocument(benchmark.device),
        cpu: benchmark.cpu && speedsDocument(benchmark.cpu),
      },
    })),
  };
}

function speedsDocument(speeds: Speeds): object {
  const toDocument = ({ tokens, ms, tokensPerSecond }: Speed) => ({ tokens, ms, tokens_per_second: tokensPerSecond });
  return { forward: speeds.forward.map(toDocument), gradients: speeds.gradients.map(toDocument) };
}

/** Renders the check of a device as text, with the verdict first. */
export function renderCheck({
  device,
  hardware,
  verdict,
  cases,
  training,
  benchmark,
  tf32,
  seconds,
}: DeviceCheck): string {
  const lines = [`${device}${hardware === null ? '' : ` (${hardware})`} ${verdict}`];
  if (cases.length > 0) lines.push(row('case', 'losses', 'logits', 'gradients'), ...cases.map(caseRow));
  if (training)
    lines.push(row(`${training.steps} training steps`, figure(training.losses), '', figure(training.factors)));
  if (benchmark) {
    lines.push(row(`tokens/s, ${benchmark.model}`, 'tokens', device, benchmark.cpu ? 'cpu' : ''));
    for (const kind of ['forward', 'gradients'] as const)
      lines.push(...speedRows(kind, benchmark.device[kind], benchmark.cpu?.[kind] ?? []));
  }
  if (tf32) {
    const speedup = tf32.speedup === null ? '' : `${tf32.speedup.toFixed(2)} times`;
    lines.push(
      row(`with TF32${tf32.near ? ', which is near' : ''}`, figure(tf32.losses), speedup, figure(tf32.gradients)),
    );
  }
  return `${lines.join('\n')}\n${seconds} s\n\n`;
}

function caseRow({ name, losses, logits, gradients, passed }: CaseResult): string {
  return row(`${passed ? ' ' : '!'} ${name}`, figure(losses), figure(logits), figure(gradients));
}

function speedRows(kind: string, device: readonly Speed[], cpu: readonly Speed[]): string[] {
  const sizes = [...new Set([...device, ...cpu].map(({ tokens }) => tokens))].sort((a, b) => a - b);
  const at = (speeds: readonly Speed[], size: number): string => {
    const found = speeds.find(({ tokens }) => tokens === size);
    return found ? count(Math.round(found.tokensPerSecond)) : '';
  };
  return sizes.map((size) => row(`  ${kind}`, count(size), at(device, size), at(cpu, size)));
}

function row(label: string, ...values: string[]): string {
  return `  ${label.padEnd(52)}${values.map((value) => value.padStart(12)).join('')}`;
}

function figure(value: number | null): string {
  return value === null ? '–' : value.toExponential(1);
}
