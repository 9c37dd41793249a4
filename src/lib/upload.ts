/** What a client uploads, while it arrives. */
export interface Upload {
  readonly chunks: AsyncIterable<Uint8Array>;
  /** Its size as the client says; null if he does not. */
  readonly declaredBytes: number | null;
}
