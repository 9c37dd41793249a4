import { appendFile } from 'node:fs/promises';
import { expect } from 'vitest';
import { sendHostile, type HostileRequest, type Outcome } from './hostile-client.ts';
import type { AttackedService } from './service.ts';
import { watchVitals, type Vitals } from './vitals.ts';

/** What every attack is held to. */
const MAX_GROWN_BYTES = 512 << 20;
const MAX_HEALTH_MS = 1_000;
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
  const { result: outcomes, vitals } = await watchVitals(service, () =>
    Promise.all(requests.map((request) => sendHostile(service.origin, request))),
  );
  process.stdout.write(`${report(name, outcomes, vitals)}\n`);
  await keepFigures({ attack: name, ...vitals });
  for (const outcome of outcomes) expectRefusal(outcome);
  expect(vitals.grownBytes, 'growth of the memory in bytes').toBeLessThan(MAX_GROWN_BYTES);
  expect(vitals.longestHealthMs, 'the slowest /healthz in ms').toBeLessThan(MAX_HEALTH_MS);
  await expect.poll(() => service.temporaries(), { timeout: 5_000 }).toEqual([]);
  return outcomes;
}

/** Appends a line of JSON to the file that `npm run bench:service -- --parts health` names, if it runs this. */
async function keepFigures(figures: { attack: string } & Vitals): Promise<void> {
  const file = process.env.READAPT_ATTACK_FIGURES;
  if (file !== undefined) await appendFile(file, `${JSON.stringify(figures)}\n`);
}

function expectRefusal({ status, contentType, body, sentBytes }: Outcome): void {
  expect(status, 'the status; null if the connection was closed without an answer').not.toBeNull();
  expect(status).toBeGreaterThanOrEqual(400);
  expect(status).toBeLessThan(500);
  expect(contentType).toContain('application/problem+json');
  expect(body).toMatchObject({ status, code: expect.any(String), detail: expect.any(String) });
  expect(JSON.stringify(body).length, 'characters of the problem').toBeLessThan(MAX_PROBLEM_CHARACTERS);
  expect(sentBytes, 'bytes that the service took').toBeLessThan(MAX_SENT_BYTES);
}

function report(name: string, outcomes: readonly Outcome[], vitals: Vitals): string {
  const mebibytes = (bytes: number) => `${Math.round(bytes / 2 ** 20)} MiB`;
  const statuses = [...new Set(outcomes.map(({ status }) => status ?? 'closed'))].join(', ');
  const cells = [
    `${statuses} after ${Math.round(Math.max(...outcomes.map(({ answerMs }) => answerMs)))} ms`,
    `took ${mebibytes(outcomes.reduce((sum, { sentBytes }) => sum + sentBytes, 0))}`,
    `memory +${mebibytes(vitals.grownBytes)}`,
    `/healthz ≤ ${Math.round(vitals.longestHealthMs)} ms`,
  ];
  return `${name.padEnd(52)} ${cells.join(' · ')}`;
}
