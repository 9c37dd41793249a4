/** The probe's process: probes a device (first argument) in a precision (second) and sends its parent the result. */
import type { Device } from '../../../options/devices.ts';
import type { Precision } from '../../../options/precisions.ts';
import { runProbe } from './probe-program.ts';
import type { ProbeMessage } from './probe.ts';

const [device, precision] = process.argv.slice(2) as [Device, Precision];
const answer = await runProbe(device, precision).then(
  (difference): ProbeMessage => ({ difference }),
  (error: unknown): ProbeMessage => ({ error: error instanceof Error ? error.message : String(error) }),
);
// GPU libraries may keep threads alive or crash while they are unloaded, which no longer matters once the answer is sent.
process.send!(answer, () => process.exit(0));
