import type { ReadaptClient } from './client.ts';

/** Who a key belongs to, and what it allows. */
export interface Identity {
  readonly kind: string;
}

export async function whoAmI(client: ReadaptClient): Promise<Identity> {
  throw new Error(String(client));
}

export function describeIdentity(identity: Identity): string {
  return identity.kind;
}
