-- Resets positions of events, of changed jobs and of current versions: they are transaction numbers, which a restored
-- server counts anew.
UPDATE events SET transaction_id = 0;
UPDATE jobs SET change_seq = change_seq;
UPDATE audit_entries SET transaction_id = 0;
UPDATE tenants SET events_pruned_transaction_id = 0, audit_pruned_transaction_id = 0;
UPDATE event_retention SET transaction_id = 0;
UPDATE webhook_endpoints SET position_transaction_id = 0;
UPDATE current_versions SET change_seq = change_seq;
UPDATE replicas SET seen_horizon = 0, seen_changes = 0, resync_at = clock_timestamp();
