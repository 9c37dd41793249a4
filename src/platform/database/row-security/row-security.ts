import { type Config } from '../../config/config.ts';
import { SETTINGS } from '../../config/settings.ts';
import { SetupError } from '../../config/setup-error.ts';
import { confinementProblem } from './prepare-tenant-role.ts';
import type { Logger } from '../../../lib/logger.ts';

/**
 * Decides whether requests of tenants are confined by row-level security. If the database cannot confine them, logs the
 * reason.
 *
 * @throws SetupError with the remedy if the setting requires row-level security
 */
export async function decideRowSecurity(
  databaseUrl: string,
  setting: Config['rowSecurity'],
  logger: Pick<Logger, 'warn'>,
): Promise<boolean> {
  const problem = await confinementProblem(databaseUrl);
  if (problem === null) return true;
  if (setting === 'required') {
    const message =
      `${SETTINGS.rowSecurity.variable} is required, ` + `but row-level security cannot confine tenants: ${problem}`;
    throw new SetupError('row_security_unusable', message, { badInput: true });
  }
  logger.warn(
    { setting: SETTINGS.rowSecurity.variable, reason: problem },
    'tenants are kept apart by the conditions of queries alone, because row-level security cannot confine them',
  );
  return false;
}
