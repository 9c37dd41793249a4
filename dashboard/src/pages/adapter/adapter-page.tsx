import { PageHeader } from '../../parts/shell/page-header.tsx';

export default function AdapterPage() {
  return <PageHeader title="Adapter" json={[]} />;
}
