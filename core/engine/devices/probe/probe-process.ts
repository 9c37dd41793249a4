/** Runs the probe of a device (first argument) in a precision (second) and tells its parent how it went. */
import type { Device } from '../../../options/devices.ts';
import type { Precision } from '../../../options/precisions.ts';
import { runProbe } from './probe-program.ts';
import type { ProbeMessage } from './probe.ts';

const [device, precision] = process.argv.slice(2) as [Device, Precision];
const answer = await runProbe(device, precision).then(
  (difference): ProbeMessage => ({ difference }),
  (error: unknown): ProbeMessage => ({ error: error instanceof Error ? error.message : String(error) }),
);
// GPU libraries may keep threads or crash while they are unloaded: nothing of that matters once the answer is out.
process.send!(answer, () => process.exit(0));
