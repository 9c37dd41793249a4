import { SETTINGS } from '../../config/settings.ts';
import { AppError } from '../../contract/errors.ts';
import { storageAway, storageFull } from '../storage-errors.ts';

/**
 * Pattern of the error names by which services report that a store is full. MinIO, Ceph, SeaweedFS and others each have
 * their own.
 */
const FULL = /full|quota|insufficientstorage/i;
/**
 * HTTP statuses of faults that come from the bucket, the credentials or the region, and not from the object in the
 * request.
 */
const REFUSALS = new Set([301, 307, 401, 403]);
const REFUSED_NAMES =
  /^(NoSuchBucket|CredentialsProviderError|AuthorizationHeaderMalformed|InvalidAccessKeyId|SignatureDoesNotMatch)$/;
/**
 * Pattern of error names and messages about encryption: `KMS.NotFoundException`, a missing `kms:GenerateDataKey`,
 * `InvalidEncryptionAlgorithmError` and others.
 */
const ENCRYPTION = /\bkms\b|kms[.:]|encrypt/i;
/** HTTP statuses after which the same request may succeed later. */
const BUSY = new Set([408, 429]);

export function statusOf(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('$metadata' in error)) return undefined;
  return (error.$metadata as { httpStatusCode?: number }).httpStatusCode;
}

/** Whether an error says that the object is missing, rather than the whole bucket. */
export function isMissingObject(error: unknown): boolean {
  return statusOf(error) === 404 && (error as Error).name !== 'NoSuchBucket';
}

/**
 * Whether a put was refused because its condition was not met, or because another put of the same object was in
 * progress.
 */
export const isLostRace = (error: unknown): boolean => [409, 412].includes(statusOf(error) ?? 0);

/** Whether a put was refused because the service does not support conditions. */
export const isUnknownCondition = (error: unknown): boolean => statusOf(error) === 501;

/**
 * Turns an error of the SDK into an AppError: 507 if the service is full; 503 `storage_away` if it does not answer,
 * refuses access, or cannot encrypt as configured. Other errors, such as those of a malformed request, are returned
 * unchanged.
 */
export function toS3Error(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof AppError) return error;
  const status = statusOf(error);
  if (isAboutEncryption(error, status)) {
    const message =
      `the artifact store refuses the encryption (${error.name}), which is that of ` +
      `${SETTINGS.s3Encryption.variable} or else ` +
      "the bucket's own: its operator has to see to the setting, the key and the rights to it";
    return storageAway(error, message);
  }
  if (status === 507 || FULL.test(error.name)) return storageFull(error);
  if (status === undefined ? isUnreachable(error) : status >= 500 || BUSY.has(status)) {
    return storageAway(error, 'the artifact store does not answer');
  }
  if (REFUSED_NAMES.test(error.name) || (status !== undefined && REFUSALS.has(status))) {
    return storageAway(error, `the artifact store refuses this service (${error.name}): its operator has to see to it`);
  }
  return error;
}

/** Whether an error is about encryption. Services answer with 400 or 403, or with 501 if they have no key. */
function isAboutEncryption({ name, message }: Error, status: number | undefined): boolean {
  return status !== undefined && (status < 500 || status === 501) && ENCRYPTION.test(`${name} ${message}`);
}

const UNREACHABLE = new RegExp(
  '^(ECONN(REFUSED|RESET|ABORTED)|EPIPE|EPROTO|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|E(HOST|NET)UNREACH|' +
    'ERR_(TLS|SSL)_.*|.*CERT.*)$',
);

function isUnreachable(error: Error): boolean {
  const { code = '' } = error as NodeJS.ErrnoException;
  return error.name === 'TimeoutError' || UNREACHABLE.test(code);
}
