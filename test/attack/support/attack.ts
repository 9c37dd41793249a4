import { appendFile } from 'node:fs/promises';
import { expect } from 'vitest';
import { sendHostile, type Answer, type HostileRequest, type Outcome } from './hostile-client.ts';
import type { AttackedService } from './service.ts';
import { watchVitals, type Vitals } from './vitals.ts';

/** Bound on the API process's memory under every attack. */
const MAX_BYTES = 512 << 20;
const MAX_HEALTH_MS = 1_000;
/** Processor time that a request may cost until it is refused. Wall time would depend on the machine's other load. */
const MAX_PROCESSOR_MS = 5_000;
/**
 * Longest answer time of `/healthz` under a crowd, whose hundreds of clients share the machine with the service.
 * `bench:service` measures the clients alone.
 */
export const MAX_CROWD_HEALTH_MS = 3_000;
const MAX_PROBLEM_CHARACTERS = 8 << 10;
/**
 * Bytes that a connection may still accept: those that a route reads before it refuses, those that the service discards
 * after its answer, and the network's buffers.
 */
const MAX_SENT_BYTES = 256 << 20;

/** Sends a hostile request, prints its effect on the service, and checks that it was refused within all bounds. */
export async function attack(service: AttackedService, name: string, request: HostileRequest): Promise<Outcome> {
  const [outcome] = await attackTogether(service, name, [request]);
  return outcome!;
}

/** Sends hostile requests at the same time and checks each like `attack` does. */
export async function attackTogether(
  service: AttackedService,
  name: string,
  requests: readonly HostileRequest[],
): Promise<Outcome[]> {
  const outcomes = await underAttack(
    service,
    name,
    () => Promise.all(requests.map((request) => sendHostile(service.origin, request))),
    { summary: summaryOf, maxProcessorMs: MAX_PROCESSOR_MS * requests.length },
  );
  for (const outcome of outcomes) expectRefusal(outcome);
  return outcomes;
}

interface Bounds<T> {
  readonly summary: (result: T) => string[];
  readonly maxHealthMs?: number;
  /** Processor time of the service and all its child processes (default: unlimited). */
  readonly maxProcessorMs?: number;
}

/**
 * Runs an attack, prints its effect on the service, and checks that the service kept its memory bound, kept answering,
 * did not fail, and has no leftovers.
 */
export async function underAttack<T>(
  service: AttackedService,
  name: string,
  work: () => Promise<T>,
  { summary, maxHealthMs = MAX_HEALTH_MS, maxProcessorMs = Infinity }: Bounds<T>,
): Promise<T> {
  const { result, vitals } = await watchVitals(service, work);
  process.stdout.write(`${name.padEnd(52)} ${[...summary(result), ...summaryOfVitals(vitals)].join(' · ')}\n`);
  await keepFigures({ attack: name, ...vitals });
  expect(vitals.peakBytes, 'most memory of the API since its start in bytes').toBeLessThan(MAX_BYTES);
  expect(vitals.longestHealthMs, 'the slowest /healthz in ms').toBeLessThan(maxHealthMs);
  expect(vitals.processorMs, 'processor time of the service in ms').toBeLessThan(maxProcessorMs);
  expect(await failuresOf(service), 'answers of 5xx since the start').toEqual([]);
  await expect.poll(() => service.temporaries()).toEqual([]);
  return result;
}

/** Number of 5xx answers by the service's own metrics, because the clients of a crowd do not read theirs. */
async function failuresOf({ origin }: AttackedService): Promise<string[]> {
  const metrics = await (await fetch(`${origin}/metrics`)).text();
  return metrics.match(/^readapt_http_request_duration_seconds_count\{.*status="5.*$/gm) ?? [];
}

/** Appends a line of JSON to the file named by `npm run bench:service -- --parts health`, if that runs this. */
async function keepFigures(figures: { attack: string } & Vitals): Promise<void> {
  const file = process.env.READAPT_ATTACK_FIGURES;
  if (file !== undefined) await appendFile(file, `${JSON.stringify(figures)}\n`);
}

/** Checks that an answer is a short problem document with a code and a 4xx status. */
export function expectProblem({ status, contentType, body }: Omit<Answer, 'answerMs'>): void {
  expect(status, 'the status; null if the connection was closed without an answer').not.toBeNull();
  expect(status, JSON.stringify(body)).toBeGreaterThanOrEqual(400);
  expect(status, JSON.stringify(body)).toBeLessThan(500);
  expect(contentType).toContain('application/problem+json');
  expect(body).toMatchObject({ status, code: expect.any(String), detail: expect.any(String) });
  expect(JSON.stringify(body).length, 'characters of the problem').toBeLessThan(MAX_PROBLEM_CHARACTERS);
}

function expectRefusal(outcome: Outcome): void {
  expectProblem(outcome);
  expect(outcome.sentBytes, 'bytes that the service took').toBeLessThan(MAX_SENT_BYTES);
}

const mebibytes = (bytes: number): string => `${Math.round(bytes / 2 ** 20)} MiB`;

function summaryOf(outcomes: readonly Outcome[]): string[] {
  const statuses = [...new Set(outcomes.map(({ status }) => status ?? 'closed'))].join(', ');
  return [
    `${statuses} after ${Math.round(Math.max(...outcomes.map(({ answerMs }) => answerMs)))} ms`,
    `took ${mebibytes(outcomes.reduce((sum, { sentBytes }) => sum + sentBytes, 0))}`,
  ];
}

function summaryOfVitals({ grownBytes, longestHealthMs, processorMs }: Vitals): string[] {
  return [
    `memory +${mebibytes(grownBytes)}`,
    `/healthz ≤ ${Math.round(longestHealthMs)} ms`,
    `${processorMs} ms of processor time`,
  ];
}
