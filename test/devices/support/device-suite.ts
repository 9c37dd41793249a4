import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createRuntime, openDevice } from '../../../workers/engine/create-runtime.ts';
import type { Device } from '../../../workers/engine/devices/device.ts';
import { probeDevice } from '../../../workers/engine/devices/probe.ts';
import { EagerRuntime } from '../../../workers/engine/eager-runtime.ts';
import type { Runtime } from '../../../workers/engine/runtime.ts';
import { expectSameResults, VARIATIONS, variationCase } from '../../unit/engine/support/variations.ts';

/** What losses, logits and gradients of a device may be off by; see docs/devices.md. */
const TOLERANCE = 1e-4;

/** Devices that have to work where the tests run; others are tested where they happen to. */
const REQUIRED = (process.env['READAPT_TEST_DEVICES'] ?? '').split(/\s+/);

/** The decoder's program on a device against the reference, each of a file of its own: GPU libraries share no process. */
export async function deviceSuite(device: Device): Promise<void> {
  const { available, reason } = await probeDevice(device);
  const suite = available || REQUIRED.includes(device) ? describe : describe.skip;
  suite(`${device} (${reason})`, () => {
    const runtimes: Runtime[] = [];
    const opened = (runtime: Runtime): Runtime => {
      runtimes.push(runtime);
      return runtime;
    };
    beforeAll(() => openDevice(device, { threads: 2 }));
    afterEach(async () => {
      for (const runtime of runtimes.splice(0)) await runtime.dispose();
    });

    it('can be used', () => expect({ available, reason }).toMatchObject({ available: true }));

    it.each(VARIATIONS)('computes what the reference does: $name', async (variation) => {
      const example = variationCase(variation);
      const runtime = opened(createRuntime({ device, base: example.base, threads: 2 }));
      await expectSameResults([runtime, opened(new EagerRuntime(example.base))], example, TOLERANCE);
    });
  });
}
