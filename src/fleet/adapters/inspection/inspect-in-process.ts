/**
 * Entry point of the child process that `InspectionProcess` starts. The child process checks adapters with the same
 * strict readers of file formats that workers use, and ends when its parent does.
 */
import { constants, getPriority, setPriority } from 'node:os';
import { FormatError } from '../../../../core/formats/errors.ts';
import { checkModelFiles, readModelConfig } from '../../../../core/formats/hugging-face/model-weights.ts';
import { readAdapterManifest } from '../../../../core/formats/peft/adapter-manifest.ts';
import { describeAdapter } from '../../../../core/formats/peft/peft-adapter.ts';
import { readServedFeatures } from '../../../../core/formats/peft/serving-rules.ts';
import type { InspectedAdapter, InspectionAnswer, InspectionMessage, InspectionRequest } from './protocol.ts';

if (!process.send) throw new Error('the inspection has no parent: fork it with an IPC channel');

process.on('message', (request) => void answer(request as InspectionRequest).then(send));
process.on('disconnect', () => process.exit(0));
// Ctrl-C at a terminal reaches the whole process group. The parent decides when this process ends.
process.on('SIGINT', () => undefined);
// Requests to the API come first. A process with a lower priority is left alone, because it may not raise its priority
// again.
if (getPriority() < constants.priority.PRIORITY_BELOW_NORMAL) setPriority(constants.priority.PRIORITY_BELOW_NORMAL);
send({ type: 'online' });

async function answer(request: InspectionRequest): Promise<InspectionAnswer> {
  try {
    return { type: 'inspected', inspected: await inspect(request) };
  } catch (error) {
    if (!(error instanceof FormatError)) return { type: 'failure', message: String(error) };
    const { message, code, file, subject } = error;
    return { type: 'fault', fault: { message, code, file, subject } };
  }
}

async function inspect({ folder, baseFolder, configOnly }: InspectionRequest): Promise<InspectedAdapter> {
  const base = configOnly ? await readModelConfig(baseFolder) : await checkModelFiles(baseFolder);
  const { config, parameters } = await describeAdapter(folder, base);
  await readAdapterManifest(folder);
  const { rank, alpha, targetModules: targets } = config;
  const features = await readServedFeatures(folder, base);
  return {
    ...{ rank, loraAlpha: alpha, parameters, features },
    targets: typeof targets === 'string' ? [targets] : [...targets],
  };
}

/**
 * Sends a message to the parent process. Does nothing if the parent is gone; the event 'disconnect' then ends this
 * process.
 */
function send(message: InspectionMessage): void {
  if (process.connected) process.send!(message);
}
