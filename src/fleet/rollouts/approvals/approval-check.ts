import { type Config } from '../../../platform/config/config.ts';
import { SETTINGS } from '../../../platform/config/settings.ts';
import { AppError, unprocessable } from '../../../platform/contract/errors.ts';
import { createAddressPolicy } from '../../../platform/outgoing/address-policy.ts';
import { urlProblem } from '../../../platform/outgoing/target.ts';
import type { RolloutPolicy } from '../policy.schemas.ts';

/**
 * Function that refuses a policy with an approval address if the service may not send requests to the address or has no
 * secret to sign them.
 * @throws AppError 422 `url_not_allowed`, 503 `approval_secret_missing`
 */
export type ApprovalCheck = (policy: Pick<RolloutPolicy, 'approve'> | null | undefined) => void;

export function createApprovalCheck(config: Pick<Config, 'approvalSecrets' | 'webhookAllowedRanges'>): ApprovalCheck {
  const addresses = createAddressPolicy(config.webhookAllowedRanges);
  return (policy) => {
    const approve = policy?.approve;
    if (typeof approve !== 'object') return;
    const problem = urlProblem(approve.url, addresses, SETTINGS.webhookAllowedRanges.variable);
    if (problem !== null) throw unprocessable('url_not_allowed', `url of approve cannot be used: ${problem}`);
    if (config.approvalSecrets.length > 0) return;
    throw new AppError({
      code: 'approval_secret_missing',
      status: 503,
      message:
        'requests for an approval are signed, and the service has no secret for that: ' +
        `set ${SETTINGS.approvalSecrets.variable} to the output of \`echo whsec_$(openssl rand -base64 32)\``,
    });
  };
}
