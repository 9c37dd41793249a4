-- The product of numbers, in their order: the survival function of a report is one of 100,000 fractions, which PostgreSQL computes beside
-- the API process instead of within it.
CREATE AGGREGATE readapt_product(float8) (SFUNC = float8mul, STYPE = float8, INITCOND = '1');
