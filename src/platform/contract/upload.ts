import { AppError } from './errors.ts';

/** Data that a client is uploading. */
export interface Upload {
  readonly chunks: AsyncIterable<Uint8Array>;
  /** Size that the client has declared, in bytes; null if it has declared none. */
  readonly declaredBytes: number | null;
}

export interface UploadLimit {
  /** Name of the thing that is uploaded or fetched, for error messages. */
  what: string;
  maxBytes: number;
  /** Name of the setting that determines the largest size, for error messages. */
  setting?: string;
}

export function uploadTooLarge({ what, maxBytes, setting }: UploadLimit): AppError {
  return new AppError({
    code: 'upload_too_large',
    status: 413,
    message: `the ${what} is larger than ${maxBytes} bytes${setting === undefined ? '' : ` (${setting})`}`,
    details: { max_bytes: maxBytes, ...(setting !== undefined && { setting }) },
  });
}
