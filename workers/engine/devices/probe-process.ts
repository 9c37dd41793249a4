/** Runs the probe of the device in its first argument and tells its parent how it went. */
import type { Device } from './device.ts';
import { runProbe } from './probe-program.ts';
import type { ProbeMessage } from './probe.ts';

const answer = await runProbe(process.argv[2] as Device).then(
  (difference): ProbeMessage => ({ difference }),
  (error: unknown): ProbeMessage => ({ error: error instanceof Error ? error.message : String(error) }),
);
// GPU libraries may keep threads or crash while they are unloaded: nothing of that matters once the answer is out.
process.send!(answer, () => process.exit(0));
