import { PageHeader } from '../../parts/shell/page-header.tsx';

export default function RolloutsPage() {
  return <PageHeader title="Rollouts" json={[]} />;
}
