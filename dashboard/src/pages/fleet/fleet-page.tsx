import { PageHeader } from '../../parts/shell/page-header.tsx';

export default function FleetPage() {
  return <PageHeader title="Fleet" json={['/v1/base-models']} />;
}
