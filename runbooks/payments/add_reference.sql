-- A payment's reference, which payments 2.4 stores. Older versions name their columns, and go on as before.
ALTER TABLE transfers ADD COLUMN reference VARCHAR(140) NOT NULL DEFAULT '' AFTER amount;
