import { PageHeader } from '../../parts/shell/page-header.tsx';

export default function RolloutPage() {
  return <PageHeader title="Rollout" json={[]} />;
}
