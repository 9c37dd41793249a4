import type { Caller, ReadaptClient } from './client.ts';

/** Asks whose key the client has. @throws ProblemError */
export async function whoAmI(client: ReadaptClient): Promise<Caller> {
  const { whoami } = await import('./client.ts');
  return whoami({ client });
}

/** Who somebody is, such as `tenant acme, which may tenant:write (key ci)`. */
export function describeIdentity({
  name,
  is_operator: isOperator,
  tenant_id: tenant,
  tenant_name: tenantName,
  scopes,
}: Caller): string {
  const who = isOperator ? 'the operator' : `tenant ${tenantName ?? tenant ?? '–'}`;
  return `${who}, with ${scopes.join(', ')} (key ${JSON.stringify(name)})`;
}
