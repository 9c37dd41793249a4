-- Which versions may use the database. A version that does not know all of its migrations may use it if it knows this one. A
-- migration that takes away what a version still needs raises it.
CREATE TABLE "schema_window" (
  "id" INTEGER NOT NULL DEFAULT 1,
  "oldest_migration" TEXT NOT NULL,
  CONSTRAINT "schema_window_pkey" PRIMARY KEY ("id"),
  CONSTRAINT "schema_window_one_row" CHECK ("id" = 1)
);
INSERT INTO "schema_window" ("oldest_migration") VALUES ('20261126000000_vocabulary');

-- Version 0.2.0 registers base model versions without a serving name.
CREATE FUNCTION readapt_default_serving_name() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.serving_name := COALESCE(NEW.serving_name, NEW.path);
  RETURN NEW;
END $$;
CREATE TRIGGER base_model_versions_serving_name BEFORE INSERT ON "base_model_versions"
  FOR EACH ROW EXECUTE FUNCTION readapt_default_serving_name();
