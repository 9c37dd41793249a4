import { PageHeader } from '../../parts/shell/page-header.tsx';

export default function JobsPage() {
  return <PageHeader title="Jobs" json={[]} />;
}
