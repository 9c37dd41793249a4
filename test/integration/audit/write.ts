import type { LightMyRequestResponse } from 'fastify';

export type Answer = Pick<LightMyRequestResponse, 'statusCode' | 'headers' | 'body'> & { json(): { id: string } };

/** Operation that writes, with its expected audit entry. */
export interface Write {
  /** Performs the operation and returns its answer. `given` creates its prerequisites. */
  run(given: string): Promise<Answer>;
  given?(): Promise<string>;
  actor: 'operator' | 'tenant';
  /** Further expected fields of the entry. */
  entry?: object;
}
