import { PageHeader } from '../../parts/shell/page-header.tsx';

export default function NewRolloutPage() {
  return <PageHeader title="New rollout" json={[]} />;
}
