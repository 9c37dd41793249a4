import { appendFile } from 'node:fs/promises';
import { expect } from 'vitest';
import { sendHostile, type Answer, type HostileRequest, type Outcome } from './hostile-client.ts';
import type { AttackedService } from './service.ts';
import { watchVitals, type Vitals } from './vitals.ts';

/** What every attack is held to: memory of the API process from its start on, and what its event loop is kept from. */
const MAX_BYTES = 512 << 20;
const MAX_HEALTH_MS = 1_000;
/** What a request may take of the processors until it is refused. How long that is depends on what else the machine does. */
const MAX_PROCESSOR_MS = 5_000;
/** The same for crowds, whose hundreds of clients compute on the machine of the service. `bench:service` measures what they take alone. */
export const MAX_CROWD_HEALTH_MS = 3_000;
const MAX_PROBLEM_CHARACTERS = 8 << 10;
/**
 * Bytes that a connection may still take: what a route reads before it refuses, what the service discards after its
 * answer, and what the buffers of the network hold.
 */
const MAX_SENT_BYTES = 256 << 20;

/** Sends a hostile request, prints what it did to the service, and checks that it was refused within all bounds. */
export async function attack(service: AttackedService, name: string, request: HostileRequest): Promise<Outcome> {
  const [outcome] = await attackTogether(service, name, [request]);
  return outcome!;
}

/** The same for requests that are sent at the same time. */
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
  /** For the service and the processes that it has started together. Default: as much as it takes. */
  readonly maxProcessorMs?: number;
}

/**
 * Does something hostile, prints what it did to the service, and checks that the service kept its memory, went on
 * answering, did not fail, and has nothing left of it.
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

/** The service's own count of its answers of 5xx, which the clients of a crowd do not read. */
async function failuresOf({ origin }: AttackedService): Promise<string[]> {
  const metrics = await (await fetch(`${origin}/metrics`)).text();
  return metrics.match(/^readapt_http_request_duration_seconds_count\{.*status="5.*$/gm) ?? [];
}

/** Appends a line of JSON to the file that `npm run bench:service -- --parts health` names, if it runs this. */
async function keepFigures(figures: { attack: string } & Vitals): Promise<void> {
  const file = process.env.READAPT_ATTACK_FIGURES;
  if (file !== undefined) await appendFile(file, `${JSON.stringify(figures)}\n`);
}

/** Checks that an answer is a problem with a code and a status of 4xx, and no longer than it has to be. */
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
