import { PageHeader } from '../../parts/shell/page-header.tsx';

export default function AdaptersPage() {
  return <PageHeader title="Adapters" json={[]} />;
}
