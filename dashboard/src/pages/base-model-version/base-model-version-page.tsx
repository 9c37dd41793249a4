import { PageHeader } from '../../parts/shell/page-header.tsx';

export default function BaseModelVersionPage() {
  return <PageHeader title="Base model version" json={[]} />;
}
