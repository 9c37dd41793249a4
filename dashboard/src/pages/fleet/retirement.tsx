import { ExclamationTriangleIcon } from '@radix-ui/react-icons';
import { Badge, Text } from '@radix-ui/themes';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useViewer } from '../../api/viewer.ts';
import { counted } from '../../lib/format.ts';
import { Time, useNow } from '../../parts/values/time.tsx';
import { atRiskQuery } from '../base-model-version/base-model-version-queries.ts';

interface RetirementProps {
  readonly versionId: string;
  readonly retiresAt: string;
  /** Number of adapters with a current version on this base model version. */
  readonly served: number;
}

/** Badge with a version's retirement date, and the number of adapters it leaves without a version. */
export function Retirement({ versionId, retiresAt, served }: RetirementProps) {
  const now = useNow();
  const { isOperator } = useViewer();
  const isPast = Date.parse(retiresAt) <= now;
  return (
    <>
      <Badge color={served === 0 ? 'gray' : 'amber'} highContrast>
        <ExclamationTriangleIcon aria-hidden />
        {isPast ? 'retired' : 'retires'} <Time value={retiresAt} />
      </Badge>
      {isOperator && served > 0 && <AtRisk versionId={versionId} retiresAt={retiresAt} />}
    </>
  );
}

function AtRisk({ versionId, retiresAt }: Pick<RetirementProps, 'versionId' | 'retiresAt'>) {
  const { data } = useQuery(atRiskQuery(versionId, retiresAt));
  if (data === undefined) return null;
  if (data.adapters === 0) {
    return (
      <Text size="2" color="gray">
        nothing is at risk
      </Text>
    );
  }
  return (
    <Link to="/base-model-versions/$versionId" params={{ versionId }} className="plain-link">
      {counted(data.adapters, 'adapter')} of {counted(data.tenant_count, 'tenant')} at risk
    </Link>
  );
}
