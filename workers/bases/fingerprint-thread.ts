/** Entry point of the thread that `fingerprintOf` starts. It reads the model in the folder given as `workerData`. */
import { parentPort, workerData } from 'node:worker_threads';
import { FormatError } from '../../core/formats/errors.ts';
import { describeBaseModel } from '../../core/formats/hugging-face/hugging-face-model.ts';
import type { FingerprintAnswer } from './fingerprint.ts';

const answer = await describeBaseModel(workerData as string).then(
  ({ fingerprint }): FingerprintAnswer => ({ fingerprint }),
  (error: unknown): FingerprintAnswer => {
    if (error instanceof FormatError) return { problem: error.message };
    throw error;
  },
);
parentPort!.postMessage(answer);
