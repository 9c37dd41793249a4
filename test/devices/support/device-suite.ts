import { beforeAll, describe, expect, it } from 'vitest';
import { createRuntime } from '../../../core/engine/create-runtime.ts';
import type { Device } from '../../../core/options/devices.ts';
import { openDevice } from '../../../core/engine/devices/open-device.ts';
import { probeDevice } from '../../../core/engine/devices/probe/probe.ts';
import { EagerRuntime } from '../../../core/engine/eager/eager-runtime.ts';
import { narrowToHalf, widenHalf } from '../../../core/formats/safetensors/dtypes.ts';
import type { BaseModel } from '../../../core/models/base-model.ts';
import { disposeAfterEach } from '../../unit/engine/support/opened-runtimes.ts';
import { expectSameResults, VARIATIONS, variationCase } from '../../unit/engine/support/variations.ts';

/** Tolerance for losses, logits and gradients of a device; see docs/devices.md. */
const TOLERANCE = 1e-4;

/** Tolerance for a float16 base against a rounded base, whose DoRA norms ‖W‖² still come from the unrounded one. */
const HALF_TOLERANCE = 5e-4;

/** Devices that must work here; others are tested only if they work. */
const REQUIRED = (process.env['READAPT_TEST_DEVICES'] ?? '').split(/\s+/);

export interface SuiteOptions {
  /** Whether the device can keep a base in float16 (default: false). */
  readonly half?: boolean;
}

/**
 * Compares the decoder's program on a device with the reference. Each device has its own test file, because GPU
 * libraries cannot share a process.
 */
export async function deviceSuite(device: Device, { half = false }: SuiteOptions = {}): Promise<void> {
  const { available, reason } = await probeDevice(device);
  const suite = available || REQUIRED.includes(device) ? describe : describe.skip;
  suite(`${device} (${reason})`, () => {
    const opened = disposeAfterEach();
    beforeAll(() => openDevice(device, { threads: 2 }));

    it('can be used', () => expect({ available, reason }).toMatchObject({ available: true }));

    it.each(VARIATIONS)('computes what the reference does: $name', async (variation) => {
      const example = variationCase(variation);
      const runtime = opened(createRuntime({ device, base: example.base, threads: 2 }));
      await expectSameResults([runtime, opened(new EagerRuntime(example.base))], example, TOLERANCE);
    });

    const halved = VARIATIONS.filter(({ name }) => half && HALVED.has(name));
    it.each(halved)(
      'computes with a base in float16 what the reference does with a rounded one: $name',
      async (variation) => {
        const example = variationCase(variation);
        const runtime = opened(createRuntime({ device, precision: 'f16', base: example.base, threads: 2 }));
        await expectSameResults([runtime, opened(new EagerRuntime(rounded(example.base)))], example, HALF_TOLERANCE);
      },
    );
  });
}

/** Variations that cover every way of reading a base's matrices. */
const HALVED = new Set([
  'all modules, grouped queries',
  'one key head a query head, untied',
  'DoRA beside the weights',
]);

/** Base with its matrices rounded to float16. */
function rounded(base: BaseModel): BaseModel {
  const weights = [...base.weights].map(([name, { shape, data }]) => {
    const copy = data.slice();
    if (shape.length === 2) widenHalf(narrowToHalf(data), copy);
    return [name, { shape, data: copy }] as const;
  });
  return { ...base, weights: new Map(weights) };
}
