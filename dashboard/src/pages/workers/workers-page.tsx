import { PageHeader } from '../../parts/shell/page-header.tsx';

export default function WorkersPage() {
  return <PageHeader title="Workers" json={[]} />;
}
