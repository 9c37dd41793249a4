/**
 * Entry of the process that checks a device (first argument) with a number of threads (second) and the longest expected
 * time of a batch in milliseconds (third), and sends its findings to its parent.
 */
import { openDevice } from '../engine/devices/open-device.ts';
import { supportsPrecision } from '../engine/devices/precision.ts';
import type { Device } from '../options/devices.ts';
import { benchmark } from './benchmark.ts';
import { checkCases } from './cases.ts';
import { referenceOf, type CheckMessage } from './check-device.ts';
import { compareCase } from './compare.ts';
import { compareTraining } from './training-steps.ts';

const device = process.argv[2] as Device;
const threads = Number(process.argv[3]);
const batchMs = Number(process.argv[4]);

const send = (message: CheckMessage): Promise<void> =>
  new Promise((resolve) => process.send!(message, () => resolve()));

async function check(): Promise<void> {
  await openDevice(device, { threads });
  const compared = { device, reference: referenceOf(device), threads };
  for (const each of checkCases(supportsPrecision(device, 'f16')))
    await send({ type: 'case', result: await compareCase(compared, each) });
  await send({ type: 'training', result: await compareTraining(compared) });
  await send({ type: 'benchmark', result: await benchmark(device, { threads, batchMs }) });
}

await check().catch((error: unknown) =>
  send({ type: 'error', message: error instanceof Error ? error.message : String(error) }),
);
await send({ type: 'done' });
// GPU libraries may keep threads alive or crash while they are unloaded. Everything has been sent, so neither matters.
process.exit(0);
