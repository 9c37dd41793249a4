import { AppError } from './errors.ts';

/** Upload from a client while it arrives. */
export interface Upload {
  readonly chunks: AsyncIterable<Uint8Array>;
  /** Size that the client declared, in bytes; null if it declared none. */
  readonly declaredBytes: number | null;
}

export interface UploadLimit {
  /** Name of the uploaded or fetched thing, for error messages. */
  what: string;
  maxBytes: number;
  /** Setting that determines the limit. */
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
