-- The metrics of generated text beside exact_match.
ALTER TABLE "adapters" DROP CONSTRAINT "adapters_metric_check";
ALTER TABLE "adapters" ADD CONSTRAINT "adapters_metric_check"
  CHECK ("metric" IN ('accuracy', 'exact_match', 'rouge_l', 'token_f1', 'loss'));
