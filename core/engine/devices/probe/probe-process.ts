/**
 * Entry of the probe process: probes a device (first argument) in a precision (second) and sends the result to its
 * parent.
 */
import type { Device } from '../../../options/devices.ts';
import type { Precision } from '../../../options/precisions.ts';
import { runProbe } from './probe-program.ts';
import type { ProbeMessage } from './probe.ts';

const [device, precision] = process.argv.slice(2) as [Device, Precision];
const answer = await runProbe(device, precision).then(
  (difference): ProbeMessage => ({ difference }),
  (error: unknown): ProbeMessage => ({ error: error instanceof Error ? error.message : String(error) }),
);
// GPU libraries may keep threads alive or crash while they are unloaded. The answer has been sent, so neither matters.
process.send!(answer, () => process.exit(0));
