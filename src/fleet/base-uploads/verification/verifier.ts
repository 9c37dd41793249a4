import { randomUUID } from 'node:crypto';
import { createClaimLoop, type ClaimLoop, type Lease } from '../../../lib/claim-loop.ts';
import type { Logger } from '../../../lib/logger.ts';
import { attemptEnd, UPLOAD_VERIFICATION } from '../../../platform/queue/index.ts';
import { verificationRepository as repository, type FileProgress } from './verification.repository.ts';
import { verifyUpload, type VerifyOptions } from './verify-upload.ts';

export interface UploadVerifierOptions extends VerifyOptions {
  readonly logger: Logger;
  /** Time between two searches for uploads that are due for verification, in milliseconds (default 1000). */
  readonly intervalMs?: number;
  /**
   * Duration of the lease on an upload, in milliseconds (default 30,000). The verifying process renews it while it
   * works. If that process dies, another one may claim the upload when the lease has expired.
   */
  readonly leaseMs?: number;
}

/**
 * Number of uploads that a process verifies at a time. One is enough to read as fast as the artifact store delivers.
 */
const AT_ONCE = 1;

/**
 * Creates the loop that verifies uploads of base models when the client has closed them. Every API process runs such a
 * loop. A lease ensures that only one process verifies an upload at a time. If that process dies, another process
 * continues with the first file that is not yet verified.
 */
export function createUploadVerifier(options: UploadVerifierOptions): ClaimLoop {
  const { db, logger, leaseMs = 30_000, intervalMs } = options;
  const lease: Lease = { owner: randomUUID(), forMs: leaseMs };
  return createClaimLoop({
    what: 'the verification of an upload',
    logger,
    intervalMs,
    atOnce: AT_ONCE,
    // No grace time at shutdown: another process continues with the next file.
    graceMs: 0,
    candidates: async (limit) => (await repository.candidates(db, limit)).map(({ id }) => ({ id, owner: id })),
    async run({ id }, { signal }) {
      const claimed = await repository.claim(db, id, lease);
      if (claimed === null) return;
      const lost = new AbortController();
      let progress: FileProgress | null = null;
      const renewal = setInterval(() => {
        void repository
          .renew(db, { id, lease }, progress)
          .then((isHeld) => (isHeld ? undefined : lost.abort(new Error('the lease of the upload is lost'))))
          .catch((error: unknown) => logger.warn({ err: error, upload: id }, 'the lease of an upload was not renewed'));
      }, leaseMs / 3);
      try {
        const onProgress = (next: FileProgress): void => void (progress = next);
        await verifyUpload(options, claimed, { lease, signal: AbortSignal.any([signal, lost.signal]), onProgress });
      } catch (error) {
        // An upload without attempts left is given up at its next claim.
        const isStopping = attemptEnd(error, { signal, lastAttempt: false }).end === 'stopped';
        const { delay, longest } = UPLOAD_VERIFICATION.backoff;
        const ms = isStopping ? 0 : Math.min(longest, delay * claimed.attempts);
        const waits = isStopping ? null : { code: 'verification_interrupted', message: INTERRUPTED };
        await repository.postpone(db, id, lease, { ms, error: waits });
        if (!isStopping) throw error;
      } finally {
        clearInterval(renewal);
      }
    },
  });
}

const INTERRUPTED =
  'the files could not be read from the artifact store, which the log of the API explains; it is tried again soon';
