import type { Device } from '../options/devices.ts';
import { TF32_TOLERANCE, type CaseResult, type Findings, type Speed, type Tf32Result } from './check-report.ts';

/** Whether the check is complete and every case and the training agree with the reference. */
export function passesCheck({ cases, training, benchmark }: Findings): boolean {
  const complete = cases.length > 0 && training !== null && benchmark !== null;
  return complete && training.passed && cases.every(({ passed }) => passed);
}

/** Summary of a check in one sentence. */
export function verdictOf(
  findings: Findings,
  { reference, failure }: { reference: Device; failure: string | null },
): string {
  const { cases, training, benchmark } = findings;
  const wrong = cases.filter(({ passed }) => !passed);
  const faults = [
    ...(failure === null ? [] : [failure]),
    ...wrong.map(faultOf),
    ...(training?.passed === false ? [trainingFault(findings)] : []),
  ];
  if (faults.length > 0) return `does not work: ${faults.join('; ')}`;
  if (!passesCheck(findings)) return 'does not work: the check has not ended';
  const exact = cases.filter(({ precision }) => precision === 'f32');
  const largest = Math.max(...exact.flatMap(({ losses, logits, gradients }) => [losses!, logits!, gradients!]));
  const agreement = `${cases.length} of ${cases.length} cases and ${training!.steps} training steps agree`;
  return `works: ${agreement} with ${reference}, to ${figure(largest)}; ${speedOf(benchmark!)}`;
}

function faultOf({ name, error, losses, logits, gradients, tolerance }: CaseResult): string {
  if (error !== null) return `"${name}" fails: ${error}`;
  const off = Object.entries({ losses, logits, gradients }).filter(
    ([, value]) => !(value !== null && value <= tolerance),
  );
  const differences = off.map(([what, value]) => `${what} by ${figure(value)}`).join(', ');
  return `"${name}" is off: ${differences}, expected at most ${tolerance}`;
}

function trainingFault({ training }: Findings): string {
  const { error, losses, factors, tolerance } = training!;
  if (error !== null) return `training fails: ${error}`;
  return `training is off: losses by ${figure(losses)}, factors by ${figure(factors)}, expected at most ${tolerance}`;
}

function speedOf({ model, device, cpu }: NonNullable<Findings['benchmark']>): string {
  const best = fastest(device.gradients);
  const tokensPerSecond = Math.round(best.tokensPerSecond).toLocaleString('en-US');
  const tokens = best.tokens.toLocaleString('en-US');
  const speed = `${tokensPerSecond} tokens/s of gradients at ${tokens} tokens with ${model}`;
  if (cpu === null) return speed;
  const speedup = best.tokensPerSecond / fastest(cpu.gradients).tokensPerSecond;
  return `${speed}, ${speedup.toPrecision(2)} times as fast as cpu`;
}

function fastest(speeds: readonly Speed[]): Speed {
  return speeds.reduce((best, each) => (each.tokensPerSecond > best.tokensPerSecond ? each : best));
}

/**
 * Returns the effect of TF32 on a card: the differences from the reference with TF32, and the speed with TF32 divided
 * by the speed without TF32.
 */
export function tf32Result(exact: Findings, rounded: Findings): Tf32Result {
  const cases = rounded.cases.filter(({ precision }) => precision === 'f32');
  const largest = (what: 'losses' | 'gradients'): number | null =>
    cases.length === 0 || cases.some((each) => each[what] === null)
      ? null
      : Math.max(...cases.map((each) => each[what]!));
  const [losses, gradients] = [largest('losses'), largest('gradients')];
  const speed = ({ benchmark }: Findings) => benchmark && fastest(benchmark.device.gradients).tokensPerSecond;
  const [before, after] = [speed(exact), speed(rounded)];
  const near = losses !== null && losses <= TF32_TOLERANCE && gradients !== null && gradients <= TF32_TOLERANCE;
  return { losses, gradients, speedup: before && after ? after / before : null, near };
}

function figure(value: number | null): string {
  return value === null ? 'no finite number' : value.toExponential(0);
}
