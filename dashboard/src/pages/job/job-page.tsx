import { PageHeader } from '../../parts/shell/page-header.tsx';

export default function JobPage() {
  return <PageHeader title="Job" json={[]} />;
}
