import type { LightMyRequestResponse } from 'fastify';

export type Answer = Pick<LightMyRequestResponse, 'statusCode' | 'headers' | 'body'> & { json(): { id: string } };

/** An operation that writes, and what the audit log says of it. */
export interface Write {
  /** Performs the operation and returns its answer. What it needs beforehand is made by `given`. */
  run(given: string): Promise<Answer>;
  given?(): Promise<string>;
  actor: 'operator' | 'tenant';
  /** What the entry says besides. */
  entry?: object;
}
